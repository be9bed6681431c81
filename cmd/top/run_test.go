package top

import (
	"bytes"
	"context"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"highwater/operate/glance"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// screen is a terminal with all that was written to it.
type screen struct {
	master, tty *os.File
	mu          sync.Mutex
	seen        bytes.Buffer
	read        sync.WaitGroup
}

func newScreen(t *testing.T) *screen {
	t.Helper()
	master, tty, err := pty.Open()
	require.NoError(t, err)
	require.NoError(t, pty.Setsize(master, &pty.Winsize{Rows: 24, Cols: 80}))
	s := &screen{master: master, tty: tty}
	s.read.Go(func() { _, _ = io.Copy(s, master) })
	t.Cleanup(func() {
		_ = tty.Close()
		_ = master.Close()
		s.read.Wait()
	})
	return s
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.Write(b)
}

func (s *screen) shows(text string) func() bool {
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return bytes.Contains(s.seen.Bytes(), []byte(text))
	}
}

func (s *screen) modes(t *testing.T) unix.Termios {
	t.Helper()
	modes, err := unix.IoctlGetTermios(int(s.tty.Fd()), unix.TCGETS)
	require.NoError(t, err)
	return *modes
}

const leaveAltScreen = "\x1b[?1049l"

// breaking panics in its second look.
type breaking struct{ model }

func (b breaking) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	if _, ok := msg.(due); ok {
		panic("a defect of the screen")
	}
	next, cmd := b.model.Update(msg)
	return breaking{next.(model)}, cmd
}

// TestTheTerminalIsRestored: by q, by the end of the context, and after a panic.
func TestTheTerminalIsRestored(t *testing.T) {
	v := viewOf(t, "ready", nil)
	look := func(context.Context) (glance.View, error) { return v, nil } //nolint:unparam // as a look is
	for name, c := range map[string]struct {
		broken bool
		end    func(*screen, context.CancelFunc)
	}{
		"q":      {end: func(s *screen, _ context.CancelFunc) { _, _ = s.master.WriteString("q") }},
		"signal": {end: func(_ *screen, cancel context.CancelFunc) { cancel() }},
		"panic":  {broken: true, end: func(*screen, context.CancelFunc) {}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScreen(t)
			before := s.modes(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var m tea.Model = newModel(ctx, look)
			if c.broken {
				m = breaking{newModel(ctx, look)}
			}
			done := make(chan error, 1)
			go func() { done <- run(ctx, m, s.tty, s.tty) }()
			require.Eventually(t, s.shows("Ready: it signs."), time.Minute, 10*time.Millisecond)
			require.NotEqual(t, before, s.modes(t), "a raw terminal")
			c.end(s, cancel)
			err := <-done
			if c.broken {
				require.ErrorIs(t, err, tea.ErrProgramPanic)
			} else {
				require.NoError(t, err)
			}
			require.Eventually(t, s.shows(leaveAltScreen), time.Minute, 10*time.Millisecond)
			require.Equal(t, before, s.modes(t))
		})
	}
}
