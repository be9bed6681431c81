package tezsign_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/tezsign"
	"highwater/tezsign/tezsignsim"
)

// reconciler is a host of which a test decides the answers.
type reconciler struct {
	mu    sync.Mutex
	ids   []string
	calls [][]device.Mark
	raise int32 // 0: none
	alarm string
	err   error
}

func (r *reconciler) Reconcile(_ context.Context, id string, marks []device.Mark) ([]device.Mark, string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids = append(r.ids, id)
	r.calls = append(r.calls, slices.Clone(marks))
	if r.raise == 0 || r.err != nil {
		return nil, r.alarm, r.err
	}
	var raise []device.Mark
	seen := map[tezos.PublicKeyHash]bool{}
	for _, m := range marks {
		if !seen[m.PKH] {
			seen[m.PKH] = true
			raise = append(raise, device.Mark{PKH: m.PKH, Level: r.raise})
		}
	}
	return raise, r.alarm, nil
}

func (r *reconciler) seen() [][]device.Mark {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

func (r *reconciler) set(change func(*reconciler)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}

// levels gives a key's marks as the gadget shows them: block, preattestation, attestation.
func levels(t testing.TB, l *lab, alias string) (out []int32) {
	t.Helper()
	keys, err := l.KeyStates(t.Context())
	require.NoError(t, err)
	for _, k := range keys {
		if k.Alias == alias {
			for _, m := range k.Marks {
				out = append(out, m.Level)
			}
		}
	}
	return out
}

func TestReconcilesAtEachConnectionWithTheMarksOfUnlockedKeys(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := newSim(t, tezsignsim.Options{Serial: "ts-1", Keys: []string{"consensus", "companion"}})
		r := &reconciler{alarm: "the attestation mark fell"}
		l := startWith(t, sim, r, func(c *tezsign.Config) { c.Aliases = []string{"consensus"} })
		st := l.health(device.Ready)
		require.Equal(t, "the attestation mark fell", st.Alarm)
		pkh := l.key("consensus").PublicKey.Hash()
		zero := []device.Mark{
			{PKH: pkh, Kind: tezos.Block}, {PKH: pkh, Kind: tezos.Preattestation}, {PKH: pkh, Kind: tezos.Attestation},
		}
		require.Equal(t, [][]device.Mark{zero}, r.seen())
		err := l.sign("consensus", payload(tezos.Preattestation, 7, 2, 0))
		require.NoError(t, err)
		sim.Unbind()
		l.health(device.Absent)
		sim.Bind()
		l.health(device.Ready)
		calls := r.seen()
		require.Len(t, calls, 2)
		require.Equal(t, device.Mark{PKH: pkh, Kind: tezos.Preattestation, Level: 7, Round: 2}, calls[1][1])
		r.mu.Lock()
		require.Equal(t, []string{"tezsign:ts-1", "tezsign:ts-1"}, r.ids)
		r.mu.Unlock()
	})
}

func TestRaisesOnlyAboveAllThreeMarks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := newSim(t, tezsignsim.Options{Keys: []string{"consensus"}})
		r := &reconciler{raise: 100}
		l := startWith(t, sim, r)
		l.health(device.Ready)
		require.Equal(t, []int32{100, 100, 100}, levels(t, l, "consensus"))
		r.set(func(r *reconciler) {
			require.Equal(t, []string{"tezsign:000000000000:left"}, r.ids, "others have that serial too")
		})
		err := l.sign("consensus", payload(tezos.Block, 150, 0, 0))
		require.NoError(t, err)
		for _, host := range []int32{120, 150} { // above two of three: the gadget is left alone
			r.set(func(r *reconciler) { r.raise = host })
			sim.Unbind()
			l.health(device.Absent)
			sim.Bind()
			l.health(device.Ready)
			require.Equal(t, []int32{150, 100, 100}, levels(t, l, "consensus"))
			require.Empty(t, l.Status().Detail)
		}
	})
}

func TestHostThatCannotRecordKeepsTheGadgetOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := newSim(t, tezsignsim.Options{Keys: []string{"consensus"}})
		r := &reconciler{err: errors.New("disk full")}
		l := startWith(t, sim, r)
		st := l.health(device.Broken)
		require.Contains(t, st.Detail, "disk full")
		r.set(func(r *reconciler) { r.err = nil })
		l.health(device.Ready)
	})
}

func TestLostStateFileIsSeenAndMadeGood(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := lockedSim(t, "consensus")
		r := &reconciler{}
		l := startWith(t, sim, r, withSecret)
		l.health(device.Ready)
		err := l.sign("consensus", payload(tezos.Attestation, 100, 0, 1))
		require.NoError(t, err)
		require.NoError(t, sim.LoseState("consensus"))
		r.set(func(r *reconciler) { r.raise, r.alarm = 100, "it fell from 100/0 to 0/0" })
		require.NoError(t, sim.PowerCycle())
		st := l.until("back", func(s device.Status) bool { return s.Health == device.Ready && len(r.seen()) == 2 })
		require.Equal(t, "it fell from 100/0 to 0/0", st.Alarm)
		require.Zero(t, r.seen()[1][2].Level)
		err = l.sign("consensus", payload(tezos.Attestation, 100, 0, 2)) // other bytes: the gadget alone would sign them
		require.ErrorIs(t, err, device.ErrRefused)
	})
}

func TestCorruptedStateIsRaisedOnTheOperatorsWordOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := lockedSim(t, "consensus", "companion")
		l := start(t, sim, withSecret)
		l.health(device.Ready)
		err := l.sign("consensus", payload(tezos.Attestation, 200, 0, 1))
		require.NoError(t, err)
		require.NoError(t, sim.CorruptState("consensus", false))
		require.NoError(t, sim.PowerCycle())
		l.until("corrupted", func(s device.Status) bool { return s.Alarm != "" })
		require.Equal(t, device.Ready, l.Status().Health, "the companion key still signs")
		require.Contains(t, l.key("consensus").Usable, "corrupted")
		err = l.sign("consensus", payload(tezos.Attestation, 201, 0, 1))
		require.Equal(t, device.Broken, deviceError(t, err).Health)
		require.ErrorIs(t, err, tezsign.ErrCorrupted)

		res, err := l.Unlock(t.Context(), []string{"consensus"}, []byte("secret"))
		require.NoError(t, err)
		require.ErrorIs(t, res[0].Err, tezsign.ErrCorrupted, "it shows as locked, and is not unlocked again")

		host := tezsign.LevelOptions{HostMark: 200}
		require.ErrorIs(t, l.SetLevel(t.Context(), "consensus", 300, host), tezsign.ErrNeedsRepair)
		host.Repair = true
		require.ErrorIs(t, l.SetLevel(t.Context(), "consensus", 5, host), tezsign.ErrTooLow)
		require.ErrorIs(t, l.SetLevel(t.Context(), "consensus", 200, host), tezsign.ErrTooLow)
		require.NoError(t, l.SetLevel(t.Context(), "consensus", 201, host))
		require.Equal(t, device.Ready, l.Status().Health)
		require.Empty(t, l.Status().Alarm)
		err = l.sign("consensus", payload(tezos.Attestation, 202, 0, 1))
		require.NoError(t, err)
	})
}

func TestStateBrokenInBothSlotsIsAnAlarmAndNotTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := lockedSim(t, "consensus")
		source := &countAsks{text: "secret"}
		l := start(t, sim, func(c *tezsign.Config) { c.Passphrase = source })
		l.health(device.Ready)
		err := l.sign("consensus", payload(tezos.Attestation, 1, 0, 0)) // both slots are written now
		require.NoError(t, err)
		require.NoError(t, sim.CorruptState("consensus", true))
		require.NoError(t, sim.PowerCycle())
		st := l.until("alarmed", func(s device.Status) bool { return s.Alarm != "" })
		require.Equal(t, device.Broken, st.Health)
		require.Contains(t, st.Detail, "checksum")
		require.Equal(t, int32(2), source.asked.Load())
	})
}

func TestSetLevelOfAHealthyKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := start(t, newSim(t, tezsignsim.Options{Keys: []string{"consensus"}}))
		l.health(device.Ready)
		none := tezsign.LevelOptions{HostMark: -1}
		require.NoError(t, l.SetLevel(t.Context(), "consensus", 500, none))
		require.ErrorIs(t, l.SetLevel(t.Context(), "consensus", 500, none), tezsign.ErrTooLow)
		require.ErrorIs(t, l.SetLevel(t.Context(), "consensus", 0, none), tezsign.ErrTooLow)
		require.ErrorIs(t, l.SetLevel(t.Context(), "nobody", 600, none), tezsign.ErrUnknownAlias)
		err := l.sign("consensus", payload(tezos.Attestation, 500, 0, 0))
		require.ErrorIs(t, err, device.ErrRefused)
		err = l.sign("consensus", payload(tezos.Attestation, 500, 1, 0))
		require.NoError(t, err)
	})
}

// With both copies of the watermark gone neither unlock nor set-level helps: none of the two points at the other, and
// each says what does.
func TestBothCopiesGoneIsNoCircle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := lockedSim(t, "consensus", "companion")
		require.NoError(t, sim.CorruptState("consensus", true))
		require.NoError(t, sim.PowerCycle())
		l := start(t, sim, withSecret)
		st := l.health(device.Ready) // the other key signs
		require.Contains(t, st.Advice, "do not delete the key")
		require.NotContains(t, st.Advice, "set-level")
		require.NotContains(t, st.Advice, "tezsign unlock")
		require.Empty(t, l.key("companion").Usable, "a ready key has nobody else's advice")
		require.Contains(t, l.key("consensus").Usable, "Both copies gone")
		res, err := l.Unlock(t.Context(), []string{"consensus"}, []byte("secret"))
		require.NoError(t, err)
		require.ErrorIs(t, res[0].Err, tezsign.ErrStateLost)
		for _, repair := range []bool{false, true} {
			err = l.SetLevel(t.Context(), "consensus", 500, tezsign.LevelOptions{HostMark: 1, Repair: repair})
			require.ErrorIs(t, err, tezsign.ErrStateLost)
			require.NotContains(t, err.Error(), "the gadget answered")
		}
		// A key that is only locked was not asked about either: no answer of the gadget is made up.
		_, err = l.Lock(t.Context(), []string{"companion"})
		require.NoError(t, err)
		err = l.SetLevel(t.Context(), "companion", 500, tezsign.LevelOptions{HostMark: 1})
		require.ErrorIs(t, err, tezsign.ErrLocked)
		require.Contains(t, err.Error(), "highwater tezsign unlock companion")
		require.NotContains(t, err.Error(), "the gadget answered")

		// What does help: the file is removed from the card.
		sim.Unplug()
		require.NoError(t, sim.LoseState("consensus"))
		require.NoError(t, sim.Replug())
		l.until("unlocks both", func(device.Status) bool {
			return l.key("consensus").Usable == "" && l.key("companion").Usable == ""
		})
		require.NoError(t, l.sign("consensus", payload(tezos.Block, 600, 0, 0)))
	})
}
