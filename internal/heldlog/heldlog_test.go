package heldlog_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/heldlog"
)

func messages(b *bytes.Buffer) (out []string) {
	for line := range strings.Lines(b.String()) {
		_, after, _ := strings.Cut(line, "msg=")
		out = append(out, strings.TrimSpace(after))
	}
	return out
}

// Lines wait for the last holder, keep their order and the time at which they were made.
func TestLinesWait(t *testing.T) {
	var out bytes.Buffer
	var lines heldlog.Lines
	log := lines.Logger(slog.New(slog.NewTextHandler(&out, nil))).With("who", "a").WithGroup("g")
	log.Info("before", "n", 0)
	require.Equal(t, []string{"before who=a g.n=0"}, messages(&out))
	lines.Hold()
	log.Info("one", "n", 1)
	lines.Hold()
	log.Info("two", "n", 2)
	log.Debug("never")
	lines.Release()
	log.Info("three")
	require.Len(t, messages(&out), 1, "one still holds")
	lines.Release()
	require.Equal(t, []string{"before who=a g.n=0", "one who=a g.n=1", "two who=a g.n=2", "three who=a"}, messages(&out))
}

// A line has the time at which it was made, not that at which it was written.
func TestLinesKeepTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		var lines heldlog.Lines
		log := lines.Logger(slog.New(slog.NewTextHandler(&out, nil)))
		made := time.Now()
		lines.Hold()
		log.Info("a line")
		<-time.After(time.Minute)
		lines.Release()
		require.Contains(t, out.String(), made.Format("2006-01-02T15:04:05"))
	})
}

// Whoever logs inside a handler, or takes the lock there, waits for nobody.
func TestHandlerMayTakeTheLock(t *testing.T) {
	var lock sync.Mutex
	var lines heldlog.Lines
	took := 0
	log := lines.Logger(slog.New(slog.NewTextHandler(writer(func() {
		lock.Lock()
		took++
		lock.Unlock()
	}), nil)))
	lines.Hold()
	lock.Lock()
	log.Info("a line")
	lock.Unlock()
	lines.Release()
	require.Equal(t, 1, took)
}

type writer func()

func (w writer) Write(b []byte) (int, error) { w(); return len(b), nil }
