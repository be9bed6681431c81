package top

import (
	"cmp"
	"fmt"
	"strings"

	"highwater/internal/history"
	"highwater/internal/tezos"
	"highwater/operate"
	"highwater/operate/glance"
)

// blocks are the lines of all keys, and where each key begins.
type blocks struct {
	lines  []line
	starts []int
}

// after is the first line of the next key; within a key that is higher than the room, the next part of the key.
func (b blocks) after(top, room int) int {
	for _, at := range b.starts {
		if at > top {
			return min(at, top+max(1, room-1))
		}
	}
	return top + max(1, room-1)
}

// before is the first line of the key above.
func (b blocks) before(top, room int) int {
	to := 0
	for _, at := range b.starts {
		if at < top {
			to = at
		}
	}
	return max(to, top-max(1, room-1))
}

// keyLines shows every key: its device and health, and its kinds.
func (m model) keyLines() (out blocks) {
	for _, k := range m.view.Cards {
		out.starts = append(out.starts, len(out.lines))
		short := m.view.Short(k.PKH)
		name := line{{strong, cmp.Or(k.Alias, short)}}
		if k.Alias != "" {
			name = append(name, piece{soft, "  " + short})
		}
		if k.Device != "" {
			name = append(name, piece{soft, " on " + k.Device})
		}
		out.lines = append(out.lines, append(name, health(k.Health)...))
		for _, mark := range k.Marks {
			out.lines = append(out.lines, m.kind(k, mark)...)
		}
	}
	if len(out.lines) == 0 {
		out.lines = []line{{{soft, "No key is known."}}}
	}
	return out
}

func health(text string) line {
	switch text {
	case "":
		return nil
	case "ready":
		return line{{good, "  ✓ ready"}}
	}
	return line{{bad, "  ✗ " + text}}
}

// kind shows a mark, the last levels as squares, and the times.
func (m model) kind(k glance.Key, mark operate.MarkRow) []line {
	left := line{{plain, fmt.Sprintf("  %-14s ", mark.Kind)}}
	if mark.Level == nil {
		left = append(left, piece{bad, "none: it does not sign"})
	} else {
		text := fmt.Sprintf("%s, round %s", mark.LevelText(), mark.RoundText())
		if mark.Horizon != nil {
			text += ", horizon " + mark.HorizonText()
		}
		if mark.Ceiling != nil {
			text += ", ceiling " + mark.CeilingText()
		}
		left = append(left, piece{plain, text})
	}
	s := m.series(k.PKH, mark.Kind)
	if s == nil {
		return []line{left}
	}
	return append(apart(left, line{{soft, glance.Times(s.Latency)}}, m.width), squares(s.Squares, m.width))
}

func (m model) series(pkh tezos.PublicKeyHash, kind tezos.Kind) *history.Series {
	for i, s := range m.view.Series {
		if s.PKH == pkh && s.Kind == kind && len(s.Squares) > 0 {
			return &m.view.Series[i]
		}
	}
	return nil
}

// mark is how a square looks on a terminal. The letter tells the word without the colour.
type mark struct{ letter, style string }

var letters = map[string]mark{
	history.Signed.String():   {"■", good},
	history.Replayed.String(): {"r", "34"},
	history.Refused.String():  {"x", warn},
	history.Conflict.String(): {"C", bad + ";" + strong},
	history.Failed.String():   {"F", "35"},
	history.Fenced.String():   {"–", soft},
	glance.Missed:             {"M", bad + ";" + strong},
	history.None.String():     {"·", soft},
}

// squares are the newest levels, as many as the width holds.
func squares(all []history.Square, width int) line {
	const indent = 2
	out := line{{plain, strings.Repeat(" ", indent)}}
	for _, q := range all[max(0, len(all)-max(0, width-indent)):] {
		l := letters[glance.Word(q)]
		if last := &out[len(out)-1]; last.style == l.style {
			last.text += l.letter
			continue
		}
		out = append(out, piece{l.style, l.letter})
	}
	return out
}
