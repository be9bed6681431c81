package top

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"highwater/internal/words"
	"highwater/operate"
)

// Least lines of the parts that share the screen.
const (
	leastKeys     = 4
	leastRights   = 1
	leastTroubles = 2
	maxRights     = 4
	airy          = 24 // a screen of so many lines has room for empty lines
)

// View is the whole screen.
func (m model) View() tea.View {
	v := tea.NewView(m.screen())
	v.AltScreen, v.WindowTitle = true, "highwater top"
	if m.view != nil {
		v.WindowTitle = clean(m.view.Title())
		if !m.lost.IsZero() {
			v.WindowTitle = "✗ connection lost · " + v.WindowTitle
		}
	}
	return v
}

// screen has at most height lines of at most width columns.
func (m model) screen() string {
	p := m.layout()
	lines := slices.Concat(p.above, p.middle(m), p.below, []line{p.footer(m)})
	banner := len(m.banner())
	var b strings.Builder
	for i, l := range lines[:min(len(lines), max(1, m.height))] {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(l.paint(m.width, banner > 0 && i >= banner))
	}
	return b.String()
}

// parts are the screen from above to below; the keys, or the help, take the room between.
type parts struct {
	above, below []line
	keys         blocks
	room         int
}

// layout puts first what calls for an act.
func (m model) layout() parts {
	p := parts{above: m.banner()}
	if m.view == nil && m.lost.IsZero() {
		p.above = append(p.above, line{{soft, "Reading the state of the daemon …"}})
	}
	if m.view == nil || m.help {
		p.room = max(0, m.height-len(p.above)-1)
		return p
	}
	p.below, p.keys = m.others(), m.keyLines()
	rest := func() int { return m.height - len(p.above) - len(p.below) - leastKeys - 1 }
	add := func(lines []line) {
		p.above = append(p.above, lines...)
		if len(lines) > 0 && m.height >= airy {
			p.above = append(p.above, nil)
		}
	}
	add(m.head())
	add(m.troubles(max(leastTroubles, rest()-leastRights)))
	add(m.rights(max(leastRights, rest())))
	p.room = max(0, m.height-len(p.above)-len(p.below)-1)
	return p
}

// middle has exactly as many lines as there is room.
func (p parts) middle(m model) []line {
	all := p.keys.lines
	if m.help {
		all = helpLines()
	} else if m.top < len(all) {
		all = all[m.top:]
	}
	out := make([]line, p.room)
	copy(out, all)
	return out
}

// footer tells the keys of the keyboard.
func (p parts) footer(m model) line {
	text := "q quit  ? help"
	if all := len(p.keys.lines); all > p.room {
		text += fmt.Sprintf("  ↑↓ keys: lines %d to %d of %d", m.top+1, min(m.top+p.room, all), all)
	}
	return line{{soft, text}}
}

// banner says that the screen is of an earlier time.
func (m model) banner() []line {
	if m.lost.IsZero() {
		return nil
	}
	text := "✗ Connection lost since " + m.lost.UTC().Format("15:04:05") + " UTC. The screen shows the state of that time, " +
		"and tries again each second."
	return append(wrap(bad, text, m.width, 2), wrap(soft, "  "+m.why.Error(), m.width, 2)[0])
}

// head names the machine, the network, the state, the head and the machine that may sign.
func (m model) head() []line {
	v := m.view
	name := line{{strong, cmp.Or(v.Name, "Highwater")}, {soft, " · " + v.Network}}
	out := apart(name, line{{soft, "Highwater " + v.Version}}, m.width)
	out = append(out, wrap(classStyle(v.State.Class)+";"+strong, v.State.Sign+" "+v.State.Text, m.width, 2)...)
	for _, no := range v.NotReady {
		out = append(out, wrap(plain, "  - "+no, m.width, 4)...)
	}
	out = append(out, line{{plain, "Head " + m.headText() + ", last request " + m.ago(v.LastAsked)}})
	out = append(out, wrap(plain, "May sign: "+v.MaySign(), m.width, 2)...)
	since := fmt.Sprintf("  here: %s since %s, epoch %d: %s", v.Role.Role, words.Time(v.Role.Since), v.Role.Epoch, v.Role.Why)
	return append(out, line{{soft, since}})
}

// classStyle is the style of a class of the page.
func classStyle(class string) string {
	switch class {
	case "good":
		return good
	case "bad":
		return bad
	}
	return soft
}

func (m model) headText() string {
	if m.view.Head == nil {
		return "of the node not known"
	}
	return fmt.Sprintf("%d, %s", m.view.Head.Level, m.ago(&m.view.Head.At))
}

// clock is the time of the screen: after a loss, the time of the last look.
func (m model) clock() time.Time {
	if !m.lost.IsZero() {
		return m.heard
	}
	return m.now()
}

func (m model) ago(at *time.Time) string {
	if at == nil {
		return "none in this run"
	}
	return operate.Spell(max(0, m.clock().Sub(*at))) + " ago"
}

// troubles are alarms and warnings, the step of each first, in at most room lines.
func (m model) troubles(room int) (out []line) {
	for _, a := range m.view.Alarms {
		out = append(out, wrap(bad+";"+strong, "⚠ What to do: "+a.Hint, m.width, 2)...)
		out = append(out, wrap(plain, fmt.Sprintf("  alarm: %s since %s: %s", a.Name, words.Time(a.Since), a.Text), m.width, 2)...)
	}
	for _, w := range m.view.Warnings {
		out = append(out, wrap(warn, "! What to do: "+w.Hint, m.width, 2)...)
		out = append(out, wrap(plain, fmt.Sprintf("  warning: %s since %s: %s", w.Name, words.Time(w.Since), w.Text), m.width, 2)...)
	}
	for _, n := range m.view.Notes {
		out = append(out, wrap(soft, "  Note: "+n, m.width, 2)...)
	}
	if len(out) > room {
		left := len(out) - room + 1
		out = append(out[:room-1:room-1], line{{warn, fmt.Sprintf("  … %d more lines: highwater status", left)}})
	}
	return out
}

// rights answer whether a restart costs a right, and count down to the next.
func (m model) rights(room int) []line {
	text, at := m.view.Restart(m.clock())
	if !at.IsZero() {
		text += " " + m.until(&at) + "."
	}
	out := wrap(strong, text, m.width, 2)
	if m.view.Rights == nil {
		return out
	}
	for i, r := range m.view.Rights.Next {
		if i == maxRights || len(out) >= room {
			break
		}
		name := cmp.Or(r.Alias, m.view.Short(r.PKH))
		out = append(out, line{{plain, fmt.Sprintf("  %-14s %d  %s  ", r.Kind, r.Level, m.until(r.At))}, {soft, name}})
	}
	return out
}

func (m model) until(at *time.Time) string {
	if at == nil {
		return "not known"
	}
	return operate.In(at.Sub(m.clock()))
}

// others tell of the other machine and of the register.
func (m model) others() (out []line) {
	if p := m.view.Pair; p != nil && p.Peer != nil {
		touch := m.view.Touch()
		l := line{{plain, "other machine " + p.Peer.Address + ": "}, {classStyle(touch.Class), touch.Text}}
		if p.Peer.HeardAt != nil {
			l = append(l, piece{soft, fmt.Sprintf("; %s, epoch %d", p.Peer.Role, p.Peer.Epoch)})
		}
		out = append(out, l)
	}
	if r := m.view.Register; r != nil {
		l := line{{plain, "register " + r.Name}, {soft, fmt.Sprintf(", epoch %d, horizon %d ", r.Epoch, r.Horizon)}, {soft, m.view.LevelsLeft()}}
		if trouble := r.Trouble(); trouble != "" {
			l = append(l, piece{bad, " ✗ " + trouble})
		}
		out = append(out, l)
	}
	return out
}

func helpLines() (out []line) {
	for _, text := range strings.Split(legend, "\n") {
		out = append(out, line{{plain, text}})
	}
	return out
}
