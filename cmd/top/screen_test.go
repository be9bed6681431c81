package top

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/require"

	"highwater/api/pagetest"
	"highwater/internal/early"
	"highwater/internal/history"
	"highwater/internal/tezos"
	"highwater/operate"
	"highwater/operate/glance"
)

var update = flag.Bool("update", false, "write the screens of this code to testdata")

// viewOf is a state of the status page, with dates that stay.
func viewOf(t *testing.T, name string, change func(*operate.Status)) glance.View {
	t.Helper()
	for _, s := range pagetest.States() {
		if s.Name != name {
			continue
		}
		s.Status.Role.Since = time.Date(2026, 11, 26, 4, 0, 0, 0, time.UTC)
		if change != nil {
			change(&s.Status)
		}
		v, err := glance.Read(t.Context(), s.Monitor(), 0)
		require.NoError(t, err)
		return v
	}
	t.Fatalf("no state %q", name)
	return glance.View{}
}

func modelOf(v glance.View, width, height int) model {
	m := newModel(context.Background(), nil)
	at := v.LastAsked.Add(4 * time.Second)
	m.now = func() time.Time { return at }
	return step(step(m, tea.WindowSizeMsg{Width: width, Height: height}), looked{view: v})
}

func step(m model, msg tea.Msg) model {
	next, _ := m.Update(msg)
	return next.(model)
}

func press(m model, keys ...rune) model {
	for _, k := range keys {
		m = step(m, tea.KeyPressMsg{Code: k})
	}
	return m
}

// manyKeys gives an instance 30 keys like its first.
func manyKeys(v glance.View) glance.View {
	first, series := v.Cards[0], v.Series
	v.Cards = nil
	for i := range 30 {
		k := first
		k.Alias, k.PKH.Hash[19] = fmt.Sprintf("baker-%02d", i+1), byte(i)
		v.Cards = append(v.Cards, k)
		for _, s := range series {
			s.PKH = k.PKH
			v.Series = append(v.Series, s)
		}
	}
	return v
}

// TestScreens: every state at three widths, as files; no line is wider than the screen, and no screen is higher.
func TestScreens(t *testing.T) {
	warned := func(st *operate.Status) {
		st.Warnings = []early.Warning{{
			Name: "slow_signatures", Of: "left", Since: time.Date(2026, 11, 28, 3, 30, 0, 0, time.UTC),
			Text: "the median of the last 50 signatures is 812 ms", Hint: "look at the USB cable and the hub of the device",
		}}
	}
	lost := func(m model) model { return step(m, looked{err: errors.New("connect: connection refused")}) }
	for name, c := range map[string]struct {
		state  string
		change func(*operate.Status)
		many   bool
		then   func(model) model
	}{
		"signs":    {state: "ready"},
		"standby":  {state: "standby"},
		"fenced":   {state: "fenced"},
		"register": {state: "shared"},
		"warnings": {state: "alarm", change: warned},
		"no-node": {state: "ready", change: func(st *operate.Status) {
			st.Head, st.Rights = nil, nil
		}},
		"lost":    {state: "ready", then: lost},
		"30-keys": {state: "ready", many: true, then: func(m model) model { return press(m, tea.KeyDown) }},
		"help":    {state: "ready", then: func(m model) model { return press(m, '?') }},
	} {
		for _, size := range [][2]int{{60, 20}, {80, 24}, {120, 40}} {
			t.Run(fmt.Sprintf("%s-%d", name, size[0]), func(t *testing.T) {
				v := viewOf(t, c.state, c.change)
				if c.many {
					v = manyKeys(v)
				}
				m := modelOf(v, size[0], size[1])
				at := time.Date(2026, 11, 28, 4, 0, 5, 0, time.UTC)
				if c.then != nil {
					m = c.then(m)
				}
				got := ansi.Strip(m.View().Content)
				if !m.lost.IsZero() {
					got = strings.Replace(got, m.lost.UTC().Format("15:04:05"), at.Format("15:04:05"), 1)
				}
				lines := strings.Split(got, "\n")
				require.LessOrEqual(t, len(lines), size[1])
				for i, l := range lines {
					require.LessOrEqual(t, ansi.StringWidth(l), size[0], l)
					lines[i] = strings.TrimRight(l, " ")
				}
				got = strings.Join(lines, "\n") + "\n"
				file := filepath.Join("testdata", fmt.Sprintf("%s-%d.txt", name, size[0]))
				if *update {
					require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
				}
				want, err := os.ReadFile(file)
				require.NoError(t, err)
				require.Equal(t, string(want), got, "see -update")
			})
		}
	}
}

// TestLostIsNoState: a lost connection takes the colour of the state away, and the next look brings the state back.
func TestLostIsNoState(t *testing.T) {
	v := viewOf(t, "ready", nil)
	m := modelOf(v, 80, 24)
	require.Contains(t, m.View().Content, "\x1b["+good+";"+strong+"m✓ Ready")
	m = step(m, looked{err: errors.New("refused")})
	since := m.lost
	require.NotContains(t, m.View().Content, "\x1b["+good)
	require.Contains(t, m.View().Content, "✗ Connection lost since")
	require.Equal(t, since, step(m, looked{err: errors.New("refused")}).lost)
	require.NotContains(t, step(m, looked{view: v}).View().Content, "Connection lost")
}

// TestNothingSteersTheTerminal: names and errors from elsewhere carry no control characters to the terminal.
func TestNothingSteersTheTerminal(t *testing.T) {
	v := viewOf(t, "ready", func(st *operate.Status) {
		st.Name, st.Role.Why = "at\x1b]0;owned\x07tic", "a\x1b[2Jb\r\n\u202ec\u009b1m"
	})
	v.Cards[0].Alias = "evil\x1b[31m\x07"
	m := modelOf(v, 80, 24)
	text := ansi.Strip(m.View().Content)
	for _, c := range []string{"\x1b", "\x07", "\r", "\u202e", "\u009b"} {
		require.NotContains(t, text, c)
	}
	require.NotContains(t, m.View().Content, "\x1b[2J")
	require.NotContains(t, m.View().WindowTitle, "\x1b")
}

// TestKeysAreReached: down and up reach every line of every key, and stop at the ends.
func TestKeysAreReached(t *testing.T) {
	m := modelOf(manyKeys(viewOf(t, "ready", nil)), 60, 20)
	seen := map[string]bool{}
	for range 200 {
		shown := m.View().Content
		for i := range 30 {
			if strings.Contains(shown, fmt.Sprintf("baker-%02d", i+1)) {
				seen[fmt.Sprint(i)] = true
			}
		}
		m = press(m, tea.KeyDown)
	}
	require.Len(t, seen, 30)
	end := m.top
	require.Equal(t, end, press(m, tea.KeyDown, tea.KeyPgDown, tea.KeyEnd).top)
	for range 200 {
		m = press(m, tea.KeyUp)
	}
	require.Zero(t, m.top)
	require.Equal(t, end, press(m, tea.KeyEnd).top)
	require.LessOrEqual(t, step(press(m, tea.KeyEnd), tea.WindowSizeMsg{Width: 120, Height: 60}).top, end)
}

// TestEachWordHasALetter: no two words of a square look the same without colour.
func TestEachWordHasALetter(t *testing.T) {
	seen := map[string]string{}
	for _, word := range glance.Legend {
		l, ok := letters[word]
		require.True(t, ok, word)
		require.Empty(t, seen[l.letter], word)
		seen[l.letter] = word
		require.Regexp(t, l.letter+`  `+word, long, "the help")
	}
	s := pagetest.Squares(tezos.PublicKeyHash{}, tezos.Block)
	require.Equal(t, 60, squares(s.Squares, 60).width())
	require.Equal(t, 2+history.Levels, squares(s.Squares, 900).width())
}

// TestTinyScreens: no size makes the screen panic or overflow.
func TestTinyScreens(t *testing.T) {
	for _, state := range pagetest.States() {
		v := viewOf(t, state.Name, nil)
		for width := 0; width < 70; width += 7 {
			for height := 0; height < 30; height += 3 {
				m := modelOf(v, width, height)
				require.LessOrEqual(t, strings.Count(m.View().Content, "\n"), max(0, height-1))
			}
		}
	}
}

// TestLeaves: q and Ctrl-C end the program.
func TestLeaves(t *testing.T) {
	m := modelOf(viewOf(t, "ready", nil), 80, 24)
	for _, k := range []tea.KeyPressMsg{{Code: 'q', Text: "q"}, {Code: 'c', Mod: tea.ModCtrl}} {
		_, cmd := m.Update(k)
		require.NotNil(t, cmd)
		require.Equal(t, tea.Quit(), cmd())
	}
}
