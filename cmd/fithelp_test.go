package cmd

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"highwater/cmd/cli"
	"highwater/internal/terminal"
)

// TestHelpFitsATerminal: nothing but a command, which is to be copied, is wider than the terminal; and nothing is lost.
func TestHelpFitsATerminal(t *testing.T) {
	const width = 80
	var names []string
	walk(t, func(c *cobra.Command) { names = append(names, c.CommandPath()) })
	require.Greater(t, len(names), 50)
	help := func(name string, width int) string {
		var out bytes.Buffer
		a := &app{App: &cli.App{Terminal: terminal.New(strings.NewReader(""), &out, &out)}}
		a.Width = width
		root := a.root()
		root.SetOut(&out)
		root.SetArgs(append(strings.Fields(name)[1:], "--help"))
		require.NoError(t, root.ExecuteContext(t.Context()))
		return out.String()
	}
	for _, name := range names {
		narrow := help(name, width)
		require.Equal(t, strings.Fields(help(name, 0)), strings.Fields(narrow), name)
		for line := range strings.Lines(narrow) {
			if strings.HasPrefix(line, "  highwater ") || strings.Contains(line, "   highwater completion ") {
				continue
			}
			require.LessOrEqual(t, terminal.Cells(strings.TrimRight(line, "\n")), width, "%s: %q", name, line)
		}
	}
}
