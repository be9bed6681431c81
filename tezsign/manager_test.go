package tezsign_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/tezsign"
	"highwater/tezsign/tezsignsim"
)

func manager(sim *tezsignsim.Gadget) *tezsign.Manager {
	return tezsign.NewManager(tezsign.ManagerConfig{Name: "cli", Open: sim.Open, Log: slog.New(slog.DiscardHandler)})
}

// TestLifeOfAGadget goes through what an operator does with a new one, beside a device that runs.
func TestLifeOfAGadget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		sim := newSim(t, tezsignsim.Options{
			Serial: "ts-1", DeriveCost: time.Second, Version: "1.0.0", BuildDate: "2026-04-01",
		})
		l := start(t, sim)
		m := manager(sim)
		v, err := m.Version(ctx)
		require.NoError(t, err)
		require.Equal(t, tezsign.Version{Version: "1.0.0", BuildDate: "2026-04-01"}, v)
		info, err := m.InitInfo(ctx)
		require.NoError(t, err)
		require.Equal(t, tezsign.InitInfo{}, info)

		keys, err := m.NewKeys(ctx, []string{"early"}, []byte("secret"), nil)
		require.NoError(t, err)
		require.ErrorContains(t, keys[0].Err, "no such file")
		require.ErrorIs(t, m.Init(ctx, true, nil), tezsign.ErrNoPassphrase)
		require.NoError(t, m.Init(ctx, true, []byte("secret")))
		var re *tezsign.RemoteError
		require.ErrorAs(t, m.Init(ctx, true, []byte("secret")), &re)
		require.EqualValues(t, tezsign.CodeInitialised, re.Code)
		info, err = m.InitInfo(ctx)
		require.NoError(t, err)
		require.Equal(t, tezsign.InitInfo{Master: true, Deterministic: true}, info)

		var steps []int
		keys, err = l.NewKeys(ctx, []string{"consensus", "companion"}, []byte("secret"),
			func(done, total int) { steps = append(steps, done); require.Equal(t, 2, total) })
		require.NoError(t, err)
		require.Equal(t, []int{0, 1, 2}, steps)
		require.NoError(t, keys[0].Err)
		again, err := m.NewKeys(ctx, []string{"consensus"}, []byte("secret"), nil)
		require.NoError(t, err)
		require.ErrorContains(t, again[0].Err, "already exists")
		require.Equal(t, l.key("consensus").PublicKey.String(), keys[0].PublicKey)
		_, err = m.NewKeys(ctx, []string{"x", "y"}, []byte("wrong"), nil)
		require.ErrorIs(t, err, tezsign.ErrWrongPassphrase)

		_, err = l.Unlock(ctx, []string{"consensus"}, []byte("secret"))
		require.NoError(t, err)
		states, err := m.Status(ctx)
		require.NoError(t, err)
		require.Len(t, states, 2)
		require.True(t, states[0].Locked)
		require.Equal(t, int32(-1), states[0].Level())
		require.False(t, states[1].Locked)
		require.Len(t, states[1].Marks, 3)
		proof, err := states[0].Proof()
		require.NoError(t, err)
		require.NoError(t, states[0].PublicKey.VerifyPossession(proof))

		lines, err := m.Logs(ctx, 2)
		require.NoError(t, err)
		require.Len(t, lines, 2)
		require.Contains(t, lines[1], `msg="key unlocked" key=consensus`)

		_, err = l.Delete(ctx, []string{"companion"}, []byte("wrong"))
		require.ErrorIs(t, err, tezsign.ErrWrongPassphrase)
		res, err := l.Delete(ctx, []string{"companion", "nobody"}, []byte("secret"))
		require.NoError(t, err)
		require.NoError(t, res[0].Err)
		require.Error(t, res[1].Err)
		require.Len(t, l.Keys(), 1)
	})
}

// TestManagementBesideASigningDaemon: another process's management verbs do not disturb signatures.
func TestManagementBesideASigningDaemon(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := newSim(t, tezsignsim.Options{
			Keys: []string{"consensus"}, DeriveCost: 3 * time.Second, Latency: 5 * time.Millisecond,
		})
		l := start(t, sim)
		l.health(device.Ready)
		var wg sync.WaitGroup
		stop := make(chan struct{})
		wg.Go(func() {
			defer close(stop)
			m := manager(sim)
			_, err := m.NewKeys(t.Context(), []string{"second"}, []byte(tezsignsim.DefaultPassphrase), nil)
			if err == nil {
				_, err = m.Unlock(t.Context(), nil, []byte(tezsignsim.DefaultPassphrase))
			}
			if err == nil {
				_, err = m.Status(t.Context())
			}
			if err != nil {
				t.Error(err)
			}
		})
		level := int32(0)
		for done := false; !done; {
			select {
			case <-stop:
				done = true
			default:
			}
			level++
			begin := time.Now()
			err := l.sign("consensus", payload(tezos.Block, level, 0, 0))
			require.NoError(t, err)
			require.Less(t, time.Since(begin), 50*time.Millisecond)
		}
		wg.Wait()
		require.Greater(t, level, int32(100))
	})
}

func TestTwoManagersTakeTurns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := newSim(t, tezsignsim.Options{Keys: []string{"consensus"}})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				m := manager(sim)
				for range 5 {
					if _, err := m.Status(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestManagementChannelInUseForLong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := newSim(t, tezsignsim.Options{})
		g, err := sim.Open(t.Context(), "")
		require.NoError(t, err)
		ch, err := g.Claim(t.Context(), tezsign.ManageInterface)
		require.NoError(t, err)
		_, err = manager(sim).Version(t.Context())
		require.ErrorIs(t, err, tezsign.ErrInUse)
		require.NoError(t, ch.Close())
	})
}

func TestManagerGivesUpWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := newSim(t, tezsignsim.Options{DeriveCost: 5 * time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := manager(sim).Init(ctx, true, []byte("secret"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		m := manager(sim) // the gadget goes on; the next session is not confused by the late answer
		info, err := m.InitInfo(t.Context())
		require.NoError(t, err)
		require.False(t, info.Master)
		pause(10 * time.Second)
		info, err = m.InitInfo(t.Context())
		require.NoError(t, err)
		require.True(t, info.Master)
	})
}

func TestManagerSaysGone(t *testing.T) {
	sim := newSim(t, tezsignsim.Options{})
	sim.Unplug()
	_, err := manager(sim).Version(t.Context())
	require.ErrorIs(t, err, tezsign.ErrGone)
}

func TestPick(t *testing.T) {
	a, b := tezsign.Info{Serial: "A", Where: "1-1"}, tezsign.Info{Serial: "B", Where: "1-2"}
	d1 := tezsign.Info{Serial: tezsign.DefaultSerial, Where: "1-3"}
	d2 := tezsign.Info{Serial: tezsign.DefaultSerial, Where: "1-4"}
	cases := []struct {
		name      string
		serial    string
		connected []tezsign.Info
		want      tezsign.Info
		err       error
		says      string
	}{
		{"nothing", "", nil, tezsign.Info{}, tezsign.ErrGone, ""},
		{"the only one", "", []tezsign.Info{a}, a, nil, ""},
		{"by serial", "B", []tezsign.Info{a, b}, b, nil, ""},
		{"not there", "C", []tezsign.Info{a, b}, tezsign.Info{}, tezsign.ErrGone, "serial C"},
		{"which one", "", []tezsign.Info{a, b}, tezsign.Info{}, tezsign.ErrAmbiguous, "name the right gadget"},
		{"the only default one", tezsign.DefaultSerial, []tezsign.Info{a, d1}, d1, nil, ""},
		{
			"two default ones", tezsign.DefaultSerial,
			[]tezsign.Info{d1, d2},
			tezsign.Info{},
			tezsign.ErrAmbiguous, "no serial of their own",
		},
		{"twins", "A", []tezsign.Info{a, a}, tezsign.Info{}, tezsign.ErrAmbiguous, "with the serial A"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := tezsign.Pick(c.serial, c.connected)
			require.ErrorIs(t, err, c.err)
			require.Equal(t, c.want, got)
			if c.says != "" {
				require.True(t, strings.Contains(err.Error(), c.says), err)
			}
		})
	}
}
