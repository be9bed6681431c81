//go:build usblab

package usb_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"highwater/internal/device"
	"highwater/internal/usb"
	"highwater/tezsign"
)

// kill ends the daemon where it stands.
func (s *signerProcess) kill() { s.t.Helper(); require.NoError(s.t, s.process.Kill()) }

// TestKill kills the signer while a signature is under way. The one that follows never signs other bytes at that place.
// A Ledger whose answer nobody fetched has ended its app and is locked: the next signer says so, and signs once it is
// unlocked.
func TestKill(t *testing.T) {
	run := func(t *testing.T, kind string, d *emulated) {
		d.plug()
		s := prepare(t, section("dev", kind, ""), nil)
		s.serve()
		s.health("dev", device.Ready)
		key := s.keys(1)[0]
		s.activate()
		const level = 1001
		asked := make(chan error, 1)
		go func() { asked <- s.sign(key, level, 1) }()
		if kind == "ledger" {
			d.wait("command", "800f81")
		} else {
			s.until("it is on the wire", func() bool { return strings.Contains(s.process.Output(), sending[kind]) })
		}
		s.kill()
		first := <-asked
		if kind == "ledger" && first != nil {
			d.wait("expired", "")
		}
		s.serve()
		if kind == "ledger" && first != nil {
			s.health("dev", device.Locked)
			d.do("unlock")
			s.health("dev", device.NoApp)
			d.do("unplug")
			d.do("open")
			d.do("plug")
		}
		s.health("dev", device.Ready)
		require.Error(t, s.sign(key, level, 2), "other bytes at the same place")
		require.NoError(t, s.sign(key, level+1, 1))
		s.stop()
	}
	t.Run("ledger", func(t *testing.T) { run(t, "ledger", startLedger(t, t.Name(), "-latency", "1s", "-trace")) })
	t.Run("tezsign", func(t *testing.T) { run(t, "tezsign", startTezSign(t, "T-1", t.Name(), "-latency", "1s")) })
}

// TestFrozen has a device that is connected and silent. Requests are refused in time, the signer ends on SIGTERM, and
// signs again when the device does.
func TestFrozen(t *testing.T) {
	both(t, func(t *testing.T, kind string, d *emulated) {
		d.plug()
		s := prepareBudget(t, section("dev", kind, ""), nil, 3*time.Second)
		s.serve()
		s.health("dev", device.Ready)
		key := s.keys(1)[0]
		s.activate()
		require.NoError(t, s.sign(key, 1001, 1))
		require.NoError(t, syscall.Kill(d.process.PID(), syscall.SIGSTOP))
		began := time.Now()
		require.Error(t, s.sign(key, 1002, 1))
		took(t, "silent device: refused", time.Since(began))
		// A probe that found the device silent first keeps the request from the device, and the mark where it was.
		spent := s.marked(key, 1002)
		end := s.stop()
		took(t, "silent device: SIGTERM to the end", end)
		require.Less(t, end, slow*5*time.Second)
		require.NoError(t, syscall.Kill(d.process.PID(), syscall.SIGCONT))
		s.serve()
		if kind == "ledger" {
			// What was sent to it waited; the answer may have come when nobody fetched it.
			s.until("it is there", func() bool {
				h := s.states()["dev"].Health
				return h == device.Ready || h == device.Locked
			})
			if s.states()["dev"].Health == device.Locked {
				d.do("unlock")
				d.do("unplug")
				d.do("open")
				d.do("plug")
			}
		}
		s.health("dev", device.Ready)
		if err := s.sign(key, 1002, 2); spent {
			require.Error(t, err, "other bytes at the same place")
		}
		require.NoError(t, s.sign(key, 1003, 1))
		s.stop()
	})
}

// TestManagement speaks to a gadget's management interface from another process than the signer's, which has the
// signing one.
func TestManagement(t *testing.T) {
	d := startTezSign(t, "T-1", "management")
	d.plug()
	s := prepare(t, section("dev", "tezsign", ""), nil)
	s.serve()
	s.health("dev", device.Ready)
	key := s.keys(1)[0]
	s.activate()

	before := goleak.IgnoreCurrent()
	bus := usb.NewBus(slog.New(slog.DiscardHandler))
	open := tezsign.OpenUSB(bus)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := open(ctx, "T-absent")
	require.ErrorIs(t, err, tezsign.ErrGone)
	manager := tezsign.NewManager(
		tezsign.ManagerConfig{Name: "dev", Serial: "T-1", Open: open, Log: slog.New(slog.DiscardHandler)})
	keys, err := manager.Status(ctx)
	require.NoError(t, err)
	require.Len(t, keys, 1)
	require.Equal(t, key.Hash(), keys[0].PKH)
	require.NoError(t, s.sign(key, 1001, 1))

	g, err := open(ctx, "T-1")
	require.NoError(t, err)
	_, err = g.Claim(ctx, tezsign.SignInterface)
	require.ErrorIs(t, err, tezsign.ErrInUse)
	require.NoError(t, s.sign(key, 1002, 1), "the attempt disturbs nobody")
	manage, err := g.Claim(ctx, tezsign.ManageInterface)
	require.NoError(t, err)

	// A read without an answer ends with the channel, and with the cable.
	readEnds := func(end func()) error {
		read := make(chan error, 1)
		go func() {
			_, err = manage.Read(context.WithoutCancel(ctx), make([]byte, manage.MaxPacket()))
			read <- err
		}()
		end()
		return <-read
	}
	began := time.Now()
	require.Error(t, readEnds(func() { require.NoError(t, manage.Close()) }))
	took(t, "close with a read pending", time.Since(began))
	manage, err = g.Claim(ctx, tezsign.ManageInterface)
	require.NoError(t, err)
	require.Error(t, readEnds(d.unplug))
	_, err = manage.Read(ctx, make([]byte, manage.MaxPacket()))
	require.ErrorIs(t, err, tezsign.ErrGone)
	require.NoError(t, errors.Join(manage.Close(), g.Close()))
	require.NoError(t, bus.Close())
	s.stop()
	goleak.VerifyNone(t, before)
}

// TestSurvey is what an operator is told of the bus.
func TestSurvey(t *testing.T) {
	d := startTezSign(t, "T-1", "survey")
	d.plug()
	s := prepare(t, section("dev", "tezsign", ""), nil)
	s.serve()
	s.health("dev", device.Ready)
	found, err := usb.Survey(tezsign.IsUSB)
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.NoError(t, found[0].Err)
	require.Equal(t, "T-1", found[0].SerialNum)
	require.Len(t, found[0].Holders, 1)
	require.Contains(t, found[0].Holders[0], "highwater (pid ")
	require.NoError(t, os.Chmod(found[0].Node(), 0o600))
	s.stop()
}
