package store

import (
	"context"
	"log/slog"
	"sync"
)

// maxUnsaid bounds the lines that wait.
const maxUnsaid = 64

// unsaid are lines of the log that the committer writes: the maker of a line may hold locks, of the store or of the
// signer.
type unsaid struct {
	log   *slog.Logger
	mu    sync.Mutex
	lines []unsaidLine
	due   chan struct{} // wakes the committer
}

type unsaidLine struct {
	level   slog.Level
	message string
	args    []any
}

// say leaves a line for the committer, and wakes the committer. A line that waits already is not repeated.
func (u *unsaid) say(level slog.Level, message string, args ...any) {
	u.add(unsaidLine{level, message, args})
	select {
	case u.due <- struct{}{}:
	default:
	}
}

func (u *unsaid) add(l unsaidLine) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, have := range u.lines {
		if have.message == l.message {
			return
		}
	}
	if len(u.lines) < maxUnsaid {
		u.lines = append(u.lines, l)
	}
}

// sayAll writes the lines. The caller is the committer, and holds no lock.
func (u *unsaid) sayAll() {
	u.mu.Lock()
	due := u.lines
	u.lines = nil
	u.mu.Unlock()
	for _, l := range due {
		u.log.Log(context.Background(), l.level, l.message, l.args...) //nolint:sloglint // the message is a constant of its maker
	}
}
