package signer_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/signer"
	"highwater/signer/signertest"
)

// lockWatch is a log that finds out whether a line is written with a lock of the signer in hand.
type lockWatch struct {
	slog.Handler
	free func() bool

	mu    sync.Mutex
	lines []string
	held  []string
}

func (l *lockWatch) Enabled(context.Context, slog.Level) bool { return true }

func (l *lockWatch) Handle(_ context.Context, r slog.Record) error {
	free := false
	for deadline := time.Now().Add(2 * time.Second); !free && time.Now().Before(deadline); <-time.After(time.Millisecond) {
		free = l.free() // another goroutine may hold one for a moment
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, r.Message)
	if !free {
		l.held = append(l.held, r.Message)
	}
	return nil
}

// noAlarms is a store that keeps no alarms while it is full.
type noAlarms struct {
	signer.Store
	full *atomic.Bool
}

func (n noAlarms) SetAlarms(a []hwm.Alarm) error {
	if n.full.Load() {
		return errors.New("no space left")
	}
	return n.Store.SetAlarms(a)
}

// TestNothingIsLoggedUnderALock makes the signer write every line that it has.
func TestNothingIsLoggedUnderALock(t *testing.T) {
	w := &lockWatch{Handler: slog.DiscardHandler}
	var s *signer.Signer
	w.free = func() bool { return s == nil || s.LocksFree() }
	var full atomic.Bool
	r := newRig(t, tezos.Ed25519, func(c *signer.Config) { c.Log, c.Store = slog.New(w), noAlarms{c.Store, &full} })
	s = r.s
	r.mustSign(r.payload(tezos.Block, 1000, 0, 1))
	r.mustRefuse(r.payload(tezos.Block, 1000, 0, 2), string(hwm.Conflict))
	failed := false
	r.device.Script(func(context.Context, tezos.PublicKeyHash, []byte) (tezos.Signature, error) {
		if failed {
			return tezos.Signature{}, nil
		}
		failed = true
		return tezos.Signature{}, &device.Error{
			Device: "left", Health: device.Absent, Retry: true, Asked: true, Err: errors.New("unplugged"),
		}
	})
	r.mustSign(r.payload(tezos.Block, 1001, 0, 1))
	_, _, err := s.Reconcile(t.Context(), "left", []device.Mark{{PKH: r.pkh(), Kind: tezos.Block, Level: 2000}})
	require.NoError(t, err)
	_, _, err = s.Reconcile(t.Context(), "left", []device.Mark{{PKH: r.pkh(), Kind: tezos.Block, Level: 1500}})
	require.NoError(t, err)
	require.Empty(t, s.Acknowledge(100))
	require.NoError(t, s.Resume(nil))
	_, err = s.Stand(t.Context(), hwm.Standby, "to see")
	require.NoError(t, err)
	r.mustRefuse(r.payload(tezos.Block, 3000, 0, 1), signer.NotActive)
	_, err = s.Activate(nil, "again")
	require.NoError(t, err)
	full.Store(true)
	s.RaiseAlarm(signer.AlarmElsewhere, "nobody", "", "cannot be kept", "")
	require.Empty(t, w.held)
	for _, line := range []string{
		"signed", "refused", "device fault, asking again", "alarm", "device is ahead, marks raised", "alarm acknowledged",
		"resumed", "role",
		"requests refused: the instance does not sign", "alarms not kept",
	} {
		require.Contains(t, w.lines, line)
	}
}

// TestABackupsLogIsShort: a baker asks a backup for all it has, all day. The log tells of it now and then, with the
// count; each request has its line at debug. What a signing instance refuses has a warning each, as ever.
func TestABackupsLogIsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var info, all bytes.Buffer
		d := newDevice("left", newKey(t, tezos.Ed25519, 0))
		log := slog.New(both{
			slog.NewTextHandler(&info, nil),
			slog.NewTextHandler(&all, &slog.HandlerOptions{Level: slog.LevelDebug}),
		})
		config := func(c *signer.Config) { c.Log, c.Now = log, time.Now }
		bubble(t, time.Millisecond, config, func(t *testing.T, s *signer.Signer, _ *signertest.Store) {
			_, err := s.Stand(t.Context(), hwm.Standby, "the backup")
			require.NoError(t, err)
			const asked = 3000
			for n := range asked { // three in 8.6 s, as one key's baker asks: 29,000 a day
				_, err = s.Sign(t.Context(), d.Held()[0].PublicKey().Hash(),
					payloadOf(tezos.Ed25519, tezos.Attestation, int32(n), 0, 1))
				require.Equal(t, signer.NotActive, signer.ReasonOf(err))
				<-time.After(2880 * time.Millisecond)
			}
			lines := strings.Count(info.String(), "the instance does not sign")
			require.Positive(t, lines)
			require.Less(t, lines, 20, "2 h 24 min")
			require.NotContains(t, info.String(), "level=WARN")
			require.Equal(t, asked, strings.Count(all.String(), "msg=refused"))
			_, err = s.Stand(t.Context(), hwm.Fenced, "another reason")
			require.NoError(t, err)
			before := info.Len()
			_, err = s.Sign(t.Context(), d.Held()[0].PublicKey().Hash(), payloadOf(tezos.Ed25519, tezos.Attestation, 9999, 0, 1))
			require.Error(t, err)
			require.Contains(t, info.String()[before:], "another reason", "what is new is said at once")
		}, d)
	})
}

// both gives each line to two handlers.
type both [2]slog.Handler

func (b both) Enabled(context.Context, slog.Level) bool { return true }
func (b both) WithAttrs([]slog.Attr) slog.Handler       { return b }
func (b both) WithGroup(string) slog.Handler            { return b }

func (b both) Handle(ctx context.Context, r slog.Record) error {
	var err error
	for _, h := range b {
		if h.Enabled(ctx, r.Level) {
			err = errors.Join(err, h.Handle(ctx, r))
		}
	}
	return err
}
