package cmd

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestFailoverPage does what docs/failover.md says, in its order, on two machines with emulated devices of one seed,
// with an emulated node and a baker on each that always asks; and compares what is printed with the page. In the end a
// judge looks at all that was signed.
//
// A command of the page stands behind the prompt of its machine, "A$ " or "B$ ". In what it prints "…" stands for
// anything, and a line of it for any lines; numbers of four digits and more, times and dates differ. A command that
// only looks may be given again until it prints what the page says, as its reader would do; all others are given once.
func TestFailoverPage(t *testing.T) {
	text, err := os.ReadFile("../docs/failover.md")
	require.NoError(t, err)
	steps := shownSteps(string(text))
	require.Greater(t, len(steps), 30, "commands on the page")
	p := newPage(t)
	for _, s := range steps {
		p.do(s)
	}
	p.stop()
	require.Empty(t, p.judge.Doubles())
	require.Positive(t, p.judge.Signed())
}

// shown is a command with what the page says that it prints.
type shown struct {
	line             int
	machine, command string
	want             []string
}

var prompt = regexp.MustCompile(`^([ABC])\$ (.+)$`)

// shownSteps are the commands in the console blocks of a page.
func shownSteps(page string) []shown {
	var out []shown
	inside := false
	for i, line := range strings.Split(page, "\n") {
		switch m := prompt.FindStringSubmatch(line); {
		case strings.HasPrefix(line, "```"):
			inside = line == "```console"
		case inside && m != nil:
			out = append(out, shown{line: i + 1, machine: m[1], command: m[2]})
		case inside && len(out) > 0:
			last := &out[len(out)-1]
			last.want = append(last.want, line)
		}
	}
	return out
}

// looks are commands that change nothing about who signs, and that a reader gives again until they say what he waits
// for.
var looks = regexp.MustCompile(`^(highwater (status|peer show|register show|bring-up\b.*|drill|.* --check|.* --dry-run)|etcdctl endpoint health.*)$`)

// pagePatience is how long a page's command is repeated. A right that moves takes levels; under load these take longer.
const pagePatience = time.Minute

// do gives a command, and compares.
func (p *page) do(s shown) {
	p.t.Helper()
	command, _, _ := strings.Cut(s.command, "  #")
	command = strings.TrimSpace(strings.TrimPrefix(command, "sudo -u highwater "))
	want := regexp.MustCompile(wanted(s.want))
	for deadline := time.Now().Add(pagePatience); ; <-time.After(100 * time.Millisecond) {
		got := p.give(p.machines[s.machine], command)
		again := looks.MatchString(command) && time.Now().Before(deadline)
		if want.MatchString(got) || !again {
			require.Regexp(p.t, want, got, "%s:%d: %s$ %s\nthe page shows:\n%s\nit printed:\n%s",
				p.file, s.line, s.machine, s.command, strings.Join(s.want, "\n"), got)
			return
		}
	}
}

var (
	shownTime   = regexp.MustCompile(`[0-9]+(\\\.[0-9]+)? ?(ms|µs|s|m|h)\b`)
	shownDate   = regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9:]{5,8}`)
	shownNumber = regexp.MustCompile(`\b[0-9]{4,}\b`)
	shownColumn = regexp.MustCompile(` {2,}`)
)

// wanted is a pattern for what a page shows.
func wanted(lines []string) string {
	var b strings.Builder
	b.WriteString(`\A`)
	for _, line := range slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return l == "" }) {
		if strings.TrimSpace(line) == "…" {
			b.WriteString(`(?s:.*)`)
			continue
		}
		line = regexp.QuoteMeta(strings.TrimRight(line, " "))
		line = shownDate.ReplaceAllString(line, `[0-9]{4}-[0-9-]+[ T][0-9:]+`)
		line = shownTime.ReplaceAllString(line, `[0-9.]+ ?[mµ]?[smh]`)
		line = shownNumber.ReplaceAllString(line, `[0-9]+`)
		line = shownColumn.ReplaceAllString(line, ` +`)
		b.WriteString(strings.ReplaceAll(line, "…", ".*") + ` *\n+`)
	}
	b.WriteString(`\z`)
	return b.String()
}

// TestWanted holds the comparison itself to what it says: what a page may leave open, and what not.
func TestWanted(t *testing.T) {
	for _, c := range []struct {
		shown, printed string
		same           bool
	}{
		{"epoch 3, level 8000017", "epoch 3, level 8000412\n", true},
		{"epoch 3, level 8000017", "epoch 4, level 8000017\n", false},
		{"back in 6.9 ms", "back in 12 µs\n", true},
		{"back in 6.9 ms", "not back in 6.9 ms\n", false},
		{"2026-05-04T03:02:01Z; differ by 1ms", "2027-11-14T13:02:59Z; differ by 0s\n", true},
		{"  ok       peer            …, active", "  ok   peer   eae7f387, active\n", true},
		{"  ok       peer            …, active", "  ok   peer   eae7f387, standby\n", false},
		{"…\nready", "one\ntwo\nready\n", true},
		{"ready", "one\nready\n", false},
		{"ready", "ready\none\n", false},
		{"", "", true},
		{"", "error: no\n", false},
	} {
		want := regexp.MustCompile(wanted(strings.Split(c.shown, "\n")))
		require.Equal(t, c.same, want.MatchString(c.printed), "%q and %q", c.shown, c.printed)
	}
}
