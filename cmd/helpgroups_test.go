package cmd

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/cmd/cli"
	"highwater/internal/terminal"
)

// TestHelpGroups: every command of the first level stands below exactly one heading of the help, and every name below a
// heading is a command.
func TestHelpGroups(t *testing.T) {
	root := (&app{App: &cli.App{Terminal: terminal.New(strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{})}}).root()
	shown := map[string]bool{}
	for _, c := range root.Commands() {
		if c.Hidden {
			continue
		}
		shown[c.Name()] = true
		require.NotEmpty(t, c.GroupID, "%s stands below no heading of the help", c.Name())
	}
	status, help, errs := run(t, "--help")
	require.Equal(t, exitDone, status, errs)
	at := 0
	for _, g := range helpGroups {
		next := strings.Index(help[at:], "\n"+g.title+":\n")
		require.GreaterOrEqual(t, next, 0, "the heading %q is missing, or out of its order:\n%s", g.title, help)
		at += next
		for _, name := range g.commands {
			require.True(t, shown[name], "%q below %q is no command, or stands below two headings", name, g.title)
			delete(shown, name)
			require.Regexp(t, `\n  `+name+` +\S`, help[at:], "%q does not stand below %q", name, g.title)
		}
	}
	require.Empty(t, shown, "commands below no heading")
}
