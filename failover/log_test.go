package failover

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
)

// lockWatch is the log of every side in the tests of this package. A line with a lock of the node in hand fails the
// test: a log that nobody reads would keep the pair waiting.
type lockWatch struct {
	slog.Handler
	side *side
}

func (l *lockWatch) Enabled(context.Context, slog.Level) bool { return true }

func (l *lockWatch) Handle(_ context.Context, r slog.Record) error {
	n := l.side.node
	free := n == nil || n.locksFree()
	for deadline := time.Now().Add(5 * time.Second); !free && time.Now().Before(deadline); free = n.locksFree() {
		<-time.After(time.Millisecond) // another goroutine may hold one for a moment
	}
	if !free {
		l.side.t.Errorf("%q is logged with a lock in hand", r.Message)
	}
	return nil
}

// locksFree tells whether nobody holds a lock of the node now.
func (n *Node) locksFree() bool {
	for _, try := range []interface {
		TryLock() bool
		Unlock()
	}{&n.act, &n.waking, &n.stated.mu, &n.alarmed.mu} {
		if !try.TryLock() {
			return false
		}
		try.Unlock()
	}
	return true
}

// stuck is a log whose reader hangs on every line.
type stuck struct {
	slog.Handler
	lines chan string
	hangs chan struct{}
}

func (stuck) Enabled(context.Context, slog.Level) bool { return true }

func (s stuck) Handle(_ context.Context, r slog.Record) error {
	s.lines <- r.Message
	<-s.hangs
	return nil
}

// A step whose line nobody reads is over: the other side is answered, and the next step begins.
func TestAStepWaitsForNoLog(t *testing.T) {
	p := newPair(t)
	a, b := p.sides[0], p.sides[1]
	a.kill()
	log := stuck{slog.DiscardHandler, make(chan string, 100), make(chan struct{})}
	a.log = log
	a.start()
	stood := make(chan error, 1)
	go func() {
		_, err := a.node.Stand(t.Context(), "to see")
		stood <- err
	}()
	require.Equal(t, "role", <-log.lines)
	answered := make(chan error, 1)
	go func() {
		_, err := b.node.Ask(t.Context())
		answered <- errors.Join(err, a.node.SetPeer(t.Context(), nil))
	}()
	select {
	case err := <-answered:
		close(log.hangs)
		require.NoError(t, err)
	case <-time.After(5 * time.Second):
		close(log.hangs)
		require.Fail(t, "a step waits for the log of another one")
	}
	require.NoError(t, <-stood)
	require.Equal(t, hwm.Standby, a.store.Role().Role)
}
