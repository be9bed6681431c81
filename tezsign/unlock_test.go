package tezsign_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/tezsign"
)

func TestUnlocksAtStartAndAfterPowerCycle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := lockedSim(t, "consensus", "companion")
		l := start(t, sim, withSecret)
		l.health(device.Ready)
		err := l.sign("consensus", payload(tezos.Attestation, 1, 0, 0))
		require.NoError(t, err)
		for level := int32(2); level < 5; level++ {
			require.NoError(t, sim.PowerCycle())
			l.until("reconnected", func(device.Status) bool {
				err = l.sign("companion", payload(tezos.Attestation, level, 0, 0))
				return err == nil
			})
			err = l.sign("consensus", payload(tezos.Attestation, level, 0, 0))
			require.NoError(t, err)
		}
	})
}

func TestLockedGadgetSaysHowToUnlock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := lockedSim(t, "consensus")
		l := start(t, sim)
		st := l.health(device.Locked)
		require.Equal(t, "highwater tezsign unlock consensus", st.Advice)
		require.Contains(t, l.key("consensus").Usable, "locked: highwater tezsign unlock consensus")
		wrote := sim.Received(tezsign.SignInterface)
		err := l.sign("consensus", payload(tezos.Block, 1, 0, 0))
		require.Less(t, sim.Received(tezsign.SignInterface)-wrote, 200, "the payload was not sent")
		de := deviceError(t, err)
		require.Equal(t, device.Locked, de.Health)
		require.Equal(t, "highwater tezsign unlock consensus", de.Hint)
		require.False(t, de.Asked)
		require.False(t, de.Retry)
	})
}

func TestOperatorUnlocksThroughTheRunningDevice(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := start(t, lockedSim(t, "consensus", "companion"))
		l.health(device.Locked)
		res, err := l.Unlock(t.Context(), []string{"consensus", "nobody"}, []byte("secret"))
		require.NoError(t, err)
		require.Len(t, res, 2)
		require.ErrorIs(t, res[0].Err, tezsign.ErrUnknownAlias)
		require.Equal(t, tezsign.KeyResult{Alias: "consensus"}, res[1])
		st := l.Status()
		require.Equal(t, device.Ready, st.Health)
		require.Equal(t, "highwater tezsign unlock companion", st.Advice)
		err = l.sign("consensus", payload(tezos.Block, 1, 0, 0))
		require.NoError(t, err)

		res, err = l.Unlock(t.Context(), []string{"consensus"}, []byte("secret"))
		require.NoError(t, err)
		require.Equal(t, []tezsign.KeyResult{{Alias: "consensus", Note: "already unlocked"}}, res)
	})
}

func TestUnlockElsewhereIsNoticedAndReconciledFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := lockedSim(t, "consensus")
		r := &reconciler{}
		l := startWith(t, sim, r, func(c *tezsign.Config) { c.Name = slowProbes })
		l.health(device.Locked)
		require.Empty(t, r.seen())
		m := tezsign.NewManager(tezsign.ManagerConfig{Name: "cli", Open: sim.Open, Log: slog.New(slog.DiscardHandler)})
		_, err := m.Unlock(t.Context(), nil, []byte("secret"))
		require.NoError(t, err)
		begin := time.Now()
		l.health(device.Ready)
		require.LessOrEqual(t, time.Since(begin), 2*time.Second)
		require.Len(t, r.seen(), 1)
		require.Len(t, r.seen()[0], 3)
	})
}

func TestUnlockIsWaitedForWhateverTheCaller(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := start(t, lockedSim(t, "consensus", "companion"))
		l.health(device.Locked)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond) // both take a second
		defer cancel()
		res, err := l.Unlock(ctx, nil, []byte("secret"))
		require.NoError(t, err)
		require.Len(t, res, 2)
		require.Equal(t, device.Ready, l.Status().Health)
	})
}

func TestOperatorsLockIsNotUndone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := start(t, lockedSim(t, "consensus"), withSecret)
		l.health(device.Ready)
		res, err := l.Lock(t.Context(), []string{"consensus", "nobody"})
		require.NoError(t, err)
		require.NoError(t, res[0].Err)
		require.ErrorContains(t, res[1].Err, "unknown key")
		require.Equal(t, device.Locked, l.Status().Health)
		pause(time.Minute) // on the bubble's clock: many probes
		require.Equal(t, device.Locked, l.Status().Health)
	})
}

func TestWrongPassphraseIsTriedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := lockedSim(t, "consensus")
		source := &countAsks{text: "wrong"}
		l := start(t, sim, func(c *tezsign.Config) { c.Passphrase = source })
		l.until("told", func(s device.Status) bool { return strings.Contains(s.Detail, "wrong passphrase") })
		for range 8 {
			sim.Unbind()
			l.health(device.Absent)
			sim.Bind()
			l.health(device.Locked)
		}
		require.Equal(t, int32(1), source.asked.Load())
		require.Contains(t, l.Status().Detail, "unlock by hand")
		_, err := l.Unlock(t.Context(), nil, []byte("secret"))
		require.NoError(t, err)
		require.Equal(t, device.Ready, l.Status().Health)
	})
}

func TestPassphraseIsWipedAndNeverLogged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := lockedSim(t, "consensus")
		given := []byte("secret")
		var log strings.Builder
		var mu sync.Mutex
		wires := &spy{}
		l := start(t, sim, func(c *tezsign.Config) {
			c.Passphrase = tezsign.PassphraseFunc(func(context.Context, string) ([]byte, error) { return given, nil })
			c.Log = slog.New(slog.NewTextHandler(locked{&mu, &log}, &slog.HandlerOptions{Level: slog.LevelDebug}))
			c.Open = wires.open(sim.Open)
		})
		l.health(device.Ready)
		require.Equal(t, make([]byte, 6), given)
		mu.Lock()
		require.Contains(t, log.String(), "unlock")
		require.NotContains(t, log.String(), "secret")
		require.NotContains(t, log.String(), "736563726574")
		mu.Unlock()
		wires.mu.Lock()
		defer wires.mu.Unlock()
		require.True(t, wires.sent, "the passphrase was sent once")
		for _, w := range wires.wires {
			require.NotContains(t, string(w), "secret")
		}
	})
}

// locked makes a writer safe.
type locked struct {
	mu *sync.Mutex
	w  *strings.Builder
}

func (l locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// spy keeps the very slices that were handed to Write.
type spy struct {
	mu    sync.Mutex
	wires [][]byte
	sent  bool
}

func (s *spy) open(inner tezsign.OpenFunc) tezsign.OpenFunc {
	return func(ctx context.Context, serial string) (tezsign.Gadget, error) {
		g, err := inner(ctx, serial)
		return spyGadget{g, s}, err
	}
}

type spyGadget struct {
	tezsign.Gadget
	s *spy
}

func (g spyGadget) Claim(ctx context.Context, iface int) (tezsign.Channel, error) {
	ch, err := g.Gadget.Claim(ctx, iface)
	return spyChannel{ch, g.s}, err
}

type spyChannel struct {
	tezsign.Channel
	s *spy
}

func (c spyChannel) Write(ctx context.Context, p []byte) (int, error) {
	c.s.mu.Lock()
	c.s.wires = append(c.s.wires, p)
	c.s.sent = c.s.sent || strings.Contains(string(p), "secret")
	c.s.mu.Unlock()
	return c.Channel.Write(ctx, p)
}

func TestThrottleIsRespectedOnOurSide(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := lockedSim(t, "consensus")
		m := tezsign.NewManager(tezsign.ManagerConfig{Name: "cli", Open: sim.Open, Log: slog.New(slog.DiscardHandler)})
		for range 4 {
			res, err := m.Unlock(t.Context(), nil, []byte("wrong"))
			require.NoError(t, err)
			require.ErrorIs(t, res[0].Err, tezsign.ErrWrongPassphrase)
		}
		_, err := m.Delete(t.Context(), []string{"consensus"}, []byte("wrong"))
		require.ErrorIs(t, err, tezsign.ErrWrongPassphrase)
		_, err = m.Unlock(t.Context(), nil, []byte("secret"))
		var te *tezsign.ThrottledError
		require.ErrorAs(t, err, &te)
		require.Less(t, te.Wait, 30*time.Second)
		_, err = m.Delete(t.Context(), []string{"consensus"}, []byte("secret"))
		require.ErrorAs(t, err, &te)
		lines, err := m.Logs(t.Context(), 100)
		require.NoError(t, err)
		require.Equal(t, 4, strings.Count(strings.Join(lines, "\n"), "msg=UNLOCK"), "the sixth attempt was not sent")
		pause(te.Wait)
		res, err := m.Unlock(t.Context(), nil, []byte("secret"))
		require.NoError(t, err)
		require.NoError(t, res[0].Err)
	})
}

func TestThrottledByAnotherProcess(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := lockedSim(t, "consensus")
		cfg := tezsign.ManagerConfig{Name: "cli", Open: sim.Open, Log: slog.New(slog.DiscardHandler)}
		other := tezsign.NewManager(cfg)
		for range 5 {
			_, err := other.Unlock(t.Context(), nil, []byte("wrong"))
			require.NoError(t, err)
		}
		_, err := tezsign.NewManager(cfg).Unlock(t.Context(), nil, []byte("secret"))
		var te *tezsign.ThrottledError
		require.ErrorAs(t, err, &te)
		var re *tezsign.RemoteError
		require.ErrorAs(t, err, &re)
		require.EqualValues(t, tezsign.CodeUnlockThrottled, re.Code)
	})
}

func TestUnlockWhoseAnswerWasLostIsWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := lockedSim(t, "consensus")
		var mu sync.Mutex
		asked := 0
		l := start(t, sim, func(c *tezsign.Config) {
			c.Passphrase = tezsign.PassphraseFunc(func(context.Context, string) ([]byte, error) {
				mu.Lock()
				defer mu.Unlock()
				if asked++; asked == 1 {
					go func() { pause(200 * time.Millisecond); sim.Unbind(); sim.Bind() }()
				}
				return []byte("secret"), nil
			})
		})
		// The first unlock is under way in the gadget when the link goes, and ends without its answer being seen. A
		// second one sent at once would reach an unlocked key, which the simulator records as a violation.
		l.health(device.Ready)
		err := l.sign("consensus", payload(tezos.Block, 1, 0, 0))
		require.NoError(t, err)
	})
}

func TestNoPassphraseAvailableLeavesKeysLocked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := start(t, lockedSim(t, "consensus"), func(c *tezsign.Config) {
			c.Passphrase = tezsign.PassphraseFunc(func(context.Context, string) ([]byte, error) {
				return nil, errors.New("the file is gone")
			})
		})
		st := l.health(device.Locked)
		require.Contains(t, st.Detail, "the file is gone")
	})
}

func TestManagementInUseDelaysUnlockingOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := lockedSim(t, "consensus")
		g, err := sim.Open(t.Context(), "")
		require.NoError(t, err)
		ch, err := g.Claim(t.Context(), tezsign.ManageInterface)
		require.NoError(t, err)
		l := start(t, sim, withSecret)
		st := l.health(device.Locked)
		require.Contains(t, st.Detail, "in use")
		require.NoError(t, ch.Close())
		l.health(device.Ready)
	})
}

// TestOneBadKeyDoesNotKeepTheOthersLocked: a key that the passphrase does not open is left out the next time.
func TestOneBadKeyDoesNotKeepTheOthersLocked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := lockedSim(t, "consensus", "companion")
		sim.SpoilKey("companion")
		l := start(t, sim, withSecret)
		for level := int32(1); level < 4; level++ {
			l.until("said", func(s device.Status) bool {
				return s.Health == device.Ready && s.Advice == "highwater tezsign unlock companion"
			})
			require.NoError(t, l.sign("consensus", payload(tezos.Block, level, 0, 0)))
			sim.Unplug()
			l.health(device.Absent)
			require.NoError(t, sim.Replug())
		}
		lines, err := l.Logs(t.Context(), 100)
		require.NoError(t, err)
		require.NotContains(t, strings.Join(lines, "\n"), "key=companion", "it is not tried again")
	})
}
