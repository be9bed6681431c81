package failover

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/failover/keys"
	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/checklist"
	"highwater/internal/device"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
	"highwater/signer"
)

// wrongDevice gives the side a device that is ready and holds other keys.
func (s *side) wrongDevice(t *testing.T) {
	t.Helper()
	s.gadget.keys = []*softkey.Key{newKey(t)}
	s.restart()
}

// TestNothingIsHandedToAnInstanceWithoutTheKeys: each of the two refuses, names the key, and goes on as it was.
func TestNothingIsHandedToAnInstanceWithoutTheKeys(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	b.wrongDevice(t)
	p.beats()
	key := a.gadget.keys[0].PublicKey().Hash().String()
	for _, s := range p.sides {
		for _, dry := range []bool{true, false} {
			h, err := s.node.Handover(t.Context(), HandoverRequest{DryRun: dry})
			is(t, err, wire.NotReady)
			require.ErrorContains(t, err, "keys: ")
			require.False(t, h.Done)
		}
	}
	// The old side by itself, whatever the new side looked at before it asked.
	peer, _ := b.store.Peer()
	for _, at := range []*int32{nil, level(p.level + 5)} {
		_, err := b.node.askRelease(t.Context(), peer, at)
		is(t, err, wire.NotReady)
		require.ErrorContains(t, err, "cannot take the right to sign")
		require.ErrorContains(t, err, key[:3])
		require.NotEmpty(t, wire.AsRefusal(err).Hint)
	}
	require.Equal(t, hwm.Active, a.role().Role)
	require.Equal(t, perLevel, a.bake(p.level))
	require.Contains(t, b.node.keys.Able(b.node.lastReport()).Detail,
		"cannot sign here: no connected device holds the key")
	require.Equal(t, checklist.Bad, b.node.keys.Able(b.node.lastReport()).Result)
	require.Equal(t, checklist.Waiting, b.node.momentKeys(b.mustAsk()).Result)
	require.Equal(t, checklist.Waiting, a.node.momentKeys(a.mustAsk()).Result)
}

func (s *side) mustAsk() *wire.Answer {
	s.t.Helper()
	a, err := s.node.Ask(s.t.Context())
	require.NoError(s.t, err)
	return &a
}

// beats lets both sides hear each other.
func (p *pair) beats() {
	for _, s := range p.sides {
		s.mustAsk()
	}
}

// TestADeviceThatIsLockedThereIsNamed: its state is told with the key, on the old side too; and once the device is
// ready, the old side looks again instead of resting on what it heard.
func TestADeviceThatIsLockedThereIsNamed(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	b.gadget.health = device.Locked
	p.beats()
	peer, _ := b.store.Peer()
	_, err := b.node.askRelease(t.Context(), peer, nil)
	is(t, err, wire.NotReady)
	require.ErrorContains(t, err, a.gadget.keys[0].PublicKey().Hash().String()[:3])
	require.ErrorContains(t, err, "cannot sign there: device gadget is locked")
	_, err = a.node.Release(t.Context(), p.level+5)
	is(t, err, wire.NotReady)

	b.gadget.health = device.Ready
	h, err := b.node.Handover(t.Context(), HandoverRequest{})
	require.NoError(t, err)
	require.True(t, h.Done)
	p.level++
	require.Equal(t, perLevel, b.bake(p.level))
	require.Empty(t, p.judge.Doubles())
}

// silentLink answers, and asks nothing.
type silentLink struct{ Link }

func (silentLink) Call(context.Context, hwm.Peer, string, wire.Question) (wire.Answer, error) {
	return wire.Answer{}, wire.Refuse(wire.Unreachable, "", "no way from here")
}

// TestNothingIsReleasedToWhoWasNotHeard: without a report of its keys the other side gets nothing; a certificate in a
// file needs no link.
func TestNothingIsReleasedToWhoWasNotHeard(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	a.node.link = silentLink{}
	a.node.now = func() time.Time { return time.Now().Add(2 * freshReport) }
	peer, _ := b.store.Peer()
	_, err := b.node.askRelease(t.Context(), peer, nil)
	is(t, err, wire.NotReady)
	require.ErrorContains(t, err, "did not report its usable keys")
	require.Equal(t, perLevel, a.bake(p.level))
	_, err = a.node.Release(t.Context(), p.level+5)
	require.NoError(t, err)
}

// TestAnOldReport is not what a release rests on.
func TestAnOldReport(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	p.beats()
	peer, _ := a.store.Peer()
	require.NoError(t, a.node.fitThere(peer))
	a.node.now = func() time.Time { return time.Now().Add(2 * freshReport) }
	is(t, a.node.fitThere(peer), wire.NotReady)
	b.gadget.health = device.Absent
	a.node.lookAtKeys(t.Context())
	require.ErrorContains(t, a.node.fitThere(peer), "device gadget is absent")
}

// TestReportsOfOlderVersions: a word alone is understood; a side that names no keys can sign with none.
func TestReportsOfOlderVersions(t *testing.T) {
	k := newKey(t).PublicKey().Hash()
	key, marks := []wire.KeyReport{{PKH: k}}, []wire.Mark{{PKH: k}}
	for _, c := range []struct {
		there  []wire.KeyReport
		result checklist.Result
		text   string
	}{
		{nil, checklist.Bad, "is not known there"},
		{[]wire.KeyReport{{PKH: k, Health: "locked"}}, checklist.Bad, "is locked there"},
		{
			[]wire.KeyReport{{PKH: k, Health: "absent: device left does not hold the key"}},
			checklist.Bad,
			"cannot sign there: device left does not hold the key",
		},
		{[]wire.KeyReport{{PKH: k, Health: "ready"}}, checklist.OK, "the key is usable there"},
	} {
		f := keys.Usable(checklist.Keys, key, marks, keys.There(c.there), "there")
		require.Equal(t, c.result, f.Result)
		require.Contains(t, f.Detail, c.text)
	}
	// A key without a mark signs nowhere, and holds nothing up.
	other := newGadget(t).keys[0].PublicKey().Hash()
	f := keys.Usable(checklist.Keys, append(key, wire.KeyReport{PKH: other}), []wire.Mark{{PKH: other}},
		keys.There([]wire.KeyReport{{PKH: other, Health: "ready"}}), "there")
	require.Equal(t, checklist.Warning, f.Result, f.Detail)
}

// TestACertificateForKeysThatAreNotHere: it is not used up by an instance that cannot sign.
func TestACertificateForKeysThatAreNotHere(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	c, err := a.node.Release(t.Context(), p.level+5)
	require.NoError(t, err)
	head := p.level
	b.gadget.health = device.Locked
	_, err = b.node.Accept(t.Context(), c, &head)
	is(t, err, wire.NotReady)
	require.ErrorContains(t, err, "device gadget is locked")
	keys := b.gadget.keys
	b.gadget.health, b.gadget.keys = "", []*softkey.Key{newKey(t)}
	_, err = b.node.Accept(t.Context(), c, &head)
	is(t, err, wire.NotReady)
	b.gadget.keys = keys
	_, err = b.node.Accept(t.Context(), c, &head)
	require.NoError(t, err)
}

// TestATakeoverWantsTheKeys: those that are known here, and those that the other side signed with when it was heard
// last.
func TestATakeoverWantsTheKeys(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	b.node.heard.Forget() // nothing was heard since the start
	require.Equal(t, checklist.OK, b.node.keys.Able(b.node.lastReport()).Result)
	b.gadget.health = device.Locked
	f := b.node.keys.Able(b.node.lastReport())
	require.Equal(t, checklist.Bad, f.Result)
	require.Contains(t, f.Detail, "cannot sign here: device gadget is locked")
	c, err := b.node.Takeover(t.Context(), TakeoverRequest{Check: true, CannotSign: true, Head: &p.level})
	require.NoError(t, err)
	require.False(t, c.Ready)
	require.Contains(t, c.Findings, f.Passing())

	b.gadget.health = device.Ready
	late := newKey(t) // connected to the other machine only
	a.gadget.keys = append(a.gadget.keys, late)
	a.signer.Learn()
	b.mustAsk()
	require.Equal(t, checklist.Warning, b.node.keys.Able(b.node.lastReport()).Result, "it signs nowhere yet")
	_, err = a.store.Raise([]hwm.Row{{
		Key:  hwm.Key{Chain: ghost, PKH: late.PublicKey().Hash(), Kind: tezos.Block},
		Mark: hwm.Floor(start, time.Now(), hwm.SourceSet),
	}})
	require.NoError(t, err)
	b.mustAsk()
	f = b.node.keys.Able(b.node.lastReport())
	require.Equal(t, checklist.Bad, f.Result)
	require.Contains(t, f.Detail, late.PublicKey().Hash().String()+" is not known here")
}

// TestChecklistsNoteASpareThatIsNone: it is in nobody's way, and it is said with a next step.
func TestChecklistsNoteASpareThatIsNone(t *testing.T) {
	p := newPair(t)
	_, b := p.begin()
	b.kill()
	b.more = []signer.Device{&gadget{name: "empty"}}
	b.start()
	b.mustAsk()
	f := b.node.keys.Able(b.node.lastReport())
	require.Equal(t, checklist.Warning, f.Result)
	require.Contains(t, f.Detail, "device empty is ready and does not hold the key")
	require.NotEmpty(t, f.Hint)
	h, err := b.node.Handover(t.Context(), HandoverRequest{DryRun: true})
	require.NoError(t, err)
	require.Nil(t, checklist.Stands(h.Findings))
	i := slices.IndexFunc(h.Findings, func(l checklist.Line) bool { return l.ID == checklist.Keys })
	require.Equal(t, checklist.Warning, h.Findings[i].Result)
	require.Contains(t, h.Findings[i].Detail, "device empty is ready and does not hold the key")
}
