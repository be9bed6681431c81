package top

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"highwater/operate/glance"
)

// Pace of the screen.
const (
	every  = time.Second
	within = 5 * time.Second // for one look: a daemon that hangs counts as lost
)

// model is what the screen shows. Only Update changes a model.
type model struct {
	ctx           context.Context // of the looks
	look          func(context.Context) (glance.View, error)
	now           func() time.Time
	width, height int
	view          *glance.View // the last look; nil: none yet
	lost          time.Time    // since when no look succeeds; zero: connected
	heard         time.Time    // of the last look
	why           error        // of the loss
	top           int          // the first line of the keys
	help          bool
}

func newModel(ctx context.Context, look func(context.Context) (glance.View, error)) model {
	return model{ctx: ctx, look: look, now: time.Now, width: 80, height: 24, heard: time.Now()}
}

// looked is the result of a look.
type looked struct {
	view glance.View
	err  error
}

// due says that the next look is due.
type due struct{}

// Init begins with a look.
func (m model) Init() tea.Cmd { return m.read() }

func (m model) read() tea.Cmd {
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(m.ctx, within)
		defer cancel()
		v, err := m.look(ctx)
		return looked{v, err}
	}
}

// Update takes a key, a new size or a look.
func (m model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case due:
		return m, m.read()
	case looked:
		m.take(msg)
		return m.fit(), tea.Tick(every, func(time.Time) tea.Msg { return due{} })
	case tea.KeyPressMsg:
		return m.press(msg.String())
	}
	return m.fit(), nil
}

// take keeps a look. After a failed look the earlier one stays, with the time of the loss.
func (m *model) take(l looked) {
	if l.err == nil {
		m.view, m.heard, m.lost, m.why = &l.view, m.now(), time.Time{}, nil
		return
	}
	if m.lost.IsZero() {
		m.lost = m.heard
	}
	m.why = l.err
}

// press does what a key asks for.
func (m model) press(key string) (tea.Model, tea.Cmd) {
	p := m.layout()
	switch key {
	case "q", "ctrl+c":
		return m, tea.Quit
	case "ctrl+z":
		return m, tea.Suspend
	case "?":
		m.help = !m.help
	case "esc":
		m.help = false
	case "down", "j":
		m.top = p.keys.after(m.top, p.room)
	case "up", "k":
		m.top = p.keys.before(m.top, p.room)
	case "pgdown", "space":
		m.top += max(1, p.room-1)
	case "pgup":
		m.top -= max(1, p.room-1)
	case "home":
		m.top = 0
	case "end":
		m.top = len(p.keys.lines)
	}
	return m.fit(), nil
}

// fit keeps the first line of the keys within the lines.
func (m model) fit() model {
	if m.help {
		return m // the place in the keys stays
	}
	p := m.layout()
	m.top = max(0, min(m.top, len(p.keys.lines)-p.room))
	return m
}
