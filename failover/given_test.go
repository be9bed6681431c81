package failover

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/checklist"
)

// lower sets an operator's ceiling for all keys.
func (s *side) lower(level int32) {
	for _, k := range s.signer.Keys() {
		key := hwm.CeilingKey{Chain: ghost, PKH: k.PKH}
		require.NoError(s.t, s.store.SetCeiling(key, hwm.Ceiling{Level: level, At: time.Now(), Source: hwm.SourceSet}))
	}
}

// TestACertificateIsRememberedUnderAnOperatorsCeiling: a takeover on the side that wrote a certificate asks for it,
// whatever ceilings an operator set since, or had set before: else both would sign above the level once those are
// lifted.
func TestACertificateIsRememberedUnderAnOperatorsCeiling(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	a.lower(p.level + 3)
	for _, at := range []int32{p.level + 3, p.level + 5} {
		_, err := a.node.Release(t.Context(), at)
		is(t, err, wire.BadLevel)
		require.Equal(t, a.node.Me(), a.role().Owner)
	}
	c, err := a.node.Release(t.Context(), p.level+2)
	require.NoError(t, err)
	a.lower(p.level + 1)

	b.kill()
	request := TakeoverRequest{CannotSign: true, Head: &p.level}
	_, err = a.node.Takeover(t.Context(), request)
	is(t, err, wire.NotReady)
	require.ErrorContains(t, err, "any holder of the certificate can still use it")
	b.start()
	p.cable.cut = true
	_, err = b.node.Accept(t.Context(), c, &p.level)
	require.NoError(t, err)
	p.level += Margin + 1
	require.Zero(t, a.bake(p.level))
	require.Equal(t, perLevel, b.bake(p.level))
	require.Empty(t, p.judge.Doubles())
}

// TestAnOperatorsCeilingIsTold: it stays when the right to sign comes, so that nobody would sign, and nothing said why.
func TestAnOperatorsCeilingIsTold(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	told := func(findings []checklist.Line) (details []string) {
		for _, f := range findings {
			if f.Name == "ceilings" {
				require.Equal(t, checklist.Warning, f.Result)
				require.Contains(t, f.Hint, "highwater hwm ceiling --lift")
				details = append(details, f.Detail)
			}
		}
		return details
	}
	h, err := b.node.Handover(t.Context(), HandoverRequest{DryRun: true})
	require.NoError(t, err)
	require.Empty(t, told(h.Findings))
	b.lower(p.level + 3)
	h, err = a.node.Handover(t.Context(), HandoverRequest{DryRun: true}) // asked for on either side
	require.NoError(t, err)
	require.Len(t, told(h.Findings), 1)
	require.Contains(t, told(h.Findings)[0], "signs nothing above level 1004")
	a.kill()
	c, err := b.node.Takeover(t.Context(), TakeoverRequest{Check: true, CannotSign: true, Head: &p.level})
	require.NoError(t, err)
	require.Len(t, told(c.Findings), 1)
	require.True(t, c.Ready)
}
