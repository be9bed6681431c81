package failover

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/failover/wire"
	"highwater/internal/loghead"
)

// keeps gives a side a head of its audit log, and tells the certificates that the side accepted.
func (s *side) keeps(h *loghead.Head) (accepted *[]wire.Certificate) {
	accepted = &[]wire.Certificate{}
	s.node.auditHead = func(context.Context) *loghead.Head { return h }
	s.node.accepted = func(c *wire.Certificate) { *accepted = append(*accepted, *c) }
	return accepted
}

// TestAReleaseCarriesTheHead: a certificate in a file has the head of the giver's audit log, under the signature, and
// the taker hears of the head once the right is here.
func TestAReleaseCarriesTheHead(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	h := &loghead.Head{Record: 48211, Link: loghead.Hash{9}}
	a.keeps(h)
	heard := b.keeps(nil)
	c, err := a.node.Release(t.Context(), p.level+5)
	require.NoError(t, err)
	require.Equal(t, h, c.AuditHead)
	forged := *c
	forged.AuditHead = &loghead.Head{Record: 48211, Link: loghead.Hash{8}}
	require.Error(t, forged.Verify())
	_, err = b.node.Accept(t.Context(), &forged, &p.level)
	is(t, err, wire.WrongKey)
	require.Empty(t, *heard)
	_, err = b.node.Accept(t.Context(), c, &p.level)
	require.NoError(t, err)
	require.Len(t, *heard, 1)
	require.Equal(t, h, (*heard)[0].AuditHead)
}

// TestAHandoverCarriesTheHead: between equal builds; an earlier build would refuse the field, and nobody could sign.
func TestAHandoverCarriesTheHead(t *testing.T) {
	for build, want := range map[string]*loghead.Head{"": {Record: 7, Link: loghead.Hash{9}}, "another": nil} {
		p := newPair(t)
		a, b := p.begin()
		a.keeps(&loghead.Head{Record: 7, Link: loghead.Hash{9}})
		heard := b.keeps(nil)
		b.node.build = build
		_, err := a.node.Ask(t.Context()) // the giver learns the build of the taker
		require.NoError(t, err)
		_, err = b.node.Handover(t.Context(), HandoverRequest{})
		require.NoError(t, err)
		require.Len(t, *heard, 1)
		require.Equal(t, want, (*heard)[0].AuditHead)
	}
}
