package signer_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
	"highwater/signer"
	"highwater/signer/signertest"
	"highwater/store"
)

// machine is a signer that a random history happens to. The naive list of all that was ever released judges it; and a
// request that nothing stands against must be signed, or a signer that refuses all would pass.
type machine struct {
	*rig
	list    signertest.Released
	trouble int // faults that the device still has in store
	keys    []*softkey.Key
	disk    atomic.Pointer[[]byte] // the watermark file after the last commit
	forgot  bool                   // a power cut may have taken kept signatures
}

// ahead has the signer keep levels ahead from now on.
func (m *machine) ahead(levels int32) {
	m.opt = store.Options{Ahead: levels, OnCommit: func(time.Duration) {
		if file, err := os.ReadFile(filepath.Join(m.dir, store.FileName)); err == nil {
			m.disk.Store(&file)
		}
	}}
	m.restart()
}

// cut takes the power away: the disk has what the last commit left on it.
func (m *machine) cut(t *rapid.T) {
	file := m.disk.Load()
	m.forgot = true
	m.stop()
	if file != nil {
		require.NoError(t, os.WriteFile(filepath.Join(m.dir, store.FileName), *file, 0o600))
	}
	m.start()
}

func (m *machine) drawKey(t *rapid.T) *softkey.Key { return rapid.SampledFrom(m.keys).Draw(t, "key") }

func drawKind(t *rapid.T) tezos.Kind { return rapid.SampledFrom(tezos.Kinds).Draw(t, "kind") }

// Levels and rounds are drawn from few, so that histories meet.
func drawLevel(t *rapid.T) int32 { return rapid.Int32Range(8, 40).Draw(t, "level") }

func (m *machine) request(t *rapid.T) {
	key, kind := m.drawKey(t), drawKind(t)
	level, round := drawLevel(t), rapid.Int32Range(0, 2).Draw(t, "round")
	payload := payloadOf(key.Curve(), kind, level, round, rapid.Byte().Draw(t, "fill")%3)
	pkh := key.PublicKey().Hash()
	before, err := m.db.State(hwm.Key{Chain: ghost, PKH: pkh, Kind: kind})
	require.NoError(t, err)
	active, healthy := m.s.Active(), m.trouble == 0

	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	sig, err := m.s.Sign(ctx, pkh, payload)
	after, stateErr := m.db.State(hwm.Key{Chain: ghost, PKH: pkh, Kind: kind})
	require.NoError(t, stateErr)
	require.False(t, before.Mark.Above(*after.Mark), "a request lowered a mark")
	if err == nil {
		require.True(t, active, "it signed without being active")
		m.list.Add(t, key.PublicKey(), payload, sig)
		require.Equal(t, hwm.Position{Level: level, Round: round}, after.Mark.Position)
		if before.Ceiling != nil {
			require.LessOrEqual(t, level, before.Ceiling.Level)
		}
		return
	}
	require.Zero(t, sig)
	above := hwm.Position{Level: level, Round: round}.Compare(before.Mark.Position) > 0
	free := above && (before.Ceiling == nil || level <= before.Ceiling.Level)
	require.False(t, free && active && healthy, "nothing stood against it: %v", err)
	if signer.Refused(err) && !free {
		require.Equal(t, before.Mark, after.Mark, "a refused request moved a mark")
	}
}

// again asks for something that was released: the same signature, as long as no mark has passed it.
func (m *machine) again(t *rapid.T) {
	if len(m.list.All()) == 0 {
		t.Skip("nothing was released yet") // rapid draws another step in the place of this one: no test is skipped
	}
	old := rapid.SampledFrom(m.list.All()).Draw(t, "old")
	for _, key := range m.keys {
		if key.PublicKey().Hash() != old.PKH {
			continue
		}
		for fill := range byte(3) {
			payload := payloadOf(key.Curve(), old.Kind, old.At.Level, old.At.Round, fill)
			sig, err := m.s.Sign(context.Background(), old.PKH, payload)
			if err == nil {
				m.list.Add(t, key.PublicKey(), payload, sig)
			}
			st, stateErr := m.db.State(hwm.Key{Chain: ghost, PKH: old.PKH, Kind: old.Kind})
			require.NoError(t, stateErr)
			stands := st.Mark.Position == old.At && (st.Ceiling == nil || st.Ceiling.Level >= old.At.Level)
			kept := !m.forgot || !st.Mark.Signature.IsZero()
			if stands && kept && m.s.Active() && tezos.Digest(payload) == old.Digest {
				require.NoError(t, err, "a replay was refused")
			}
		}
	}
}

// fault gives the device an accident for each of its next asks.
func (m *machine) fault(t *rapid.T) {
	left := rapid.IntRange(1, 3).Draw(t, "faults")
	how := rapid.SampledFrom([]string{"lost", "refused", "torn", "before"}).Draw(t, "how")
	m.trouble = left
	other := newKey(t, tezos.Ed25519, 77)
	m.device.Script(func(_ context.Context, _ tezos.PublicKeyHash, payload []byte) (tezos.Signature, error) {
		if m.trouble == 0 {
			return tezos.Signature{}, nil
		}
		m.trouble--
		e := &device.Error{
			Device: "left", Health: device.Absent, Err: errors.New(how), Retry: how != "refused",
			Asked: how == "lost",
		}
		if how == "torn" {
			return other.Sign(payload), nil
		}
		if how == "before" {
			e.Asked = true // a transport that cannot tell
		}
		return tezos.Signature{}, e
	})
}

func (m *machine) raise(t *rapid.T) {
	key := hwm.Key{Chain: ghost, PKH: m.drawKey(t).PublicKey().Hash(), Kind: drawKind(t)}
	_, err := m.db.Raise([]hwm.Row{{Key: key, Mark: hwm.Floor(drawLevel(t)-6, at, hwm.SourceSet)}})
	require.NoError(t, err)
}

func (m *machine) ceiling(t *rapid.T) {
	key := hwm.CeilingKey{Chain: ghost, PKH: m.drawKey(t).PublicKey().Hash()}
	if _, there := m.db.Ceilings()[key]; there && rapid.Bool().Draw(t, "lift") {
		require.NoError(t, m.db.Lift(key, at, "test"))
		return
	}
	err := m.db.SetCeiling(key, hwm.Ceiling{Level: drawLevel(t) + 5, At: at, Source: hwm.SourceSet})
	if err != nil {
		require.ErrorIs(t, err, hwm.ErrMoved)
	}
}

func (m *machine) role(t *rapid.T) {
	var err error
	if m.s.Active() {
		_, err = m.s.Stand(context.Background(), hwm.Standby, "test")
	} else {
		_, err = m.s.Activate(nil, "test")
	}
	require.NoError(t, err)
}

func (m *machine) reconcile(t *rapid.T) {
	kind := tezos.Kind(0)
	if rapid.Bool().Draw(t, "by kind") {
		kind = drawKind(t)
	}
	mark := device.Mark{
		PKH: m.drawKey(t).PublicKey().Hash(), Kind: kind, Level: drawLevel(t) - 8,
		Round: rapid.Int32Range(0, 1).Draw(t, "round"),
	}
	_, _, err := m.s.Reconcile(context.Background(), "serial", []device.Mark{mark})
	require.NoError(t, err)
}

// Whatever happens, in whatever order: no signature leaves twice, and none below another.
func TestStateMachine(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &machine{rig: newRig(t, tezos.Ed25519)}
		defer m.stop()
		m.keys = []*softkey.Key{m.key, newKey(rt, tezos.P256, 1), newKey(rt, tezos.BLS12381, 2)}
		m.device.Hold(m.keys...)
		m.s.Learn()
		for _, k := range m.keys {
			for _, key := range hwm.KeysOf(ghost, k.PublicKey().Hash()) {
				_, err := m.db.Raise([]hwm.Row{{Key: key, Mark: hwm.Floor(10, at, hwm.SourceSet)}})
				require.NoError(rt, err)
			}
		}
		m.ahead(rapid.Int32Range(0, 2).Draw(rt, "ahead"))
		rt.Repeat(map[string]func(*rapid.T){
			"request": m.request, "request more": m.request, "request most": m.request, "again": m.again, "fault": m.fault,
			"restart": func(*rapid.T) { m.restart() }, "cut": m.cut, "raise": m.raise, "ceiling": m.ceiling, "role": m.role,
			"reconcile": m.reconcile,
		})
	})
}
