package cmd

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"highwater/cmd/cli"
	"highwater/internal/config"
	"highwater/internal/daemon/daemontest"
	"highwater/internal/terminal"
)

// run runs the program in this process, with nothing on standard input.
func run(t *testing.T, args ...string) (status int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = Main(args, strings.NewReader(""), &stdout, &stderr)
	return status, stdout.String(), stderr.String()
}

// TestUsageErrors: each is exit status 2, one `error:` line and one `hint:` line, before anything was opened.
func TestUsageErrors(t *testing.T) {
	t.Setenv(config.Env, daemontest.WriteConfig(t, daemontest.Minimal))
	commands := 0
	walk(t, func(c *cobra.Command) {
		commands++
		path := strings.Fields(c.CommandPath())[1:]
		usageError := func(args ...string) {
			t.Helper()
			isUsageError(t, append(append([]string{}, path...), args...)...)
		}
		usageError("--no-such-flag")
		usageError("-x")
		usageError("--config")
		if c.Flags().Lookup("json") != nil {
			usageError("--json=perhaps")
		}
		if path[0] == "audit" || path[0] != "hwm" && path[0] != "keys" && c.Name() == "show" { // of a pair, or a register: no key
			usageError("one")
			return
		}
		switch c.Name() {
		case "show", "lower", "pop", "set-level": // one key
			usageError()
			usageError("one", "two")
		case "man", "set", "ceiling", "import", "new", "delete": // at least one
			usageError()
		case "verify", "diff": // one file
			usageError()
			usageError("one", "two")
		case "lock", "unlock": // any number, or those that are picked on a terminal
		default:
			usageError("no-such-argument")
		}
	})
	require.Greater(t, commands, 15)
	for _, args := range []string{
		"init --chain Netx", "init --yes --store-only --chain tz1", "serve --log-level loud", "serve --log-format xml",
		"activate --level -1", "activate --level 99999999999", "activate --level x", "hwm set --all",
		"hwm set --all --level -1",
		"hwm set --all --level -2", "hwm set --all --level 1 --round -2", "hwm set --all --level 1 --kind x",
		"hwm ceiling --all --lift", "hwm ceiling --all --lift --reason x --json",
		"hwm lower k", "hwm lower k --level 1", "hwm lower k --level 1 --kind block", "demo --levels -1",
		"demo --interval -1s",
		"demo --interval 5", "hwm set --all --level 2147483648", "hwm ceiling --all --level 2147483648",
		"peer add", "peer add x:1", "peer add x:1 abc", "handover --at -1", "handover --at x", "release", "release --at 5",
		"release --out f",
		"release --at -1 --out f", "accept", "accept --in f --head -1", "takeover --head -1", "takeover --silence -1",
		"takeover --wait x", "takeover --wait -1s", "takeover --silence 49", "takeover --margin 2", "takeover --margin 1001",
		"takeover --margin x",
		"wait-window --blocks 0", "wait-window --blocks 101", "wait-window --quiet 11m", "wait-window --quiet -1s",
		"wait-window --timeout 2h",
		"wait-window --timeout x", "handover --blocks -1", "handover --timeout 2h",
		"drill --dry-run --handover", "drill --levels 0", "drill --wait 0s", "drill --timeout -1s", "bring-up --state x",
		"bring-up --skip =",
		"bundle export", "bundle verify f --key abc", "bundle diff f --key abc", "hwm import f --key abc",
		"hwm export --format x", "audit show --level x", "audit show --level 5-4", "audit show --last 0", "audit show --key nobody",
		"audit verify --head 7", "audit verify --head 7:00",
		"hwm export --format signatory", "hwm export --format octez-signer",
	} {
		if strings.HasPrefix(args, "init") {
			args += " --config " + filepath.Join(t.TempDir(), "new.toml")
		}
		isUsageError(t, strings.Fields(args)...)
	}
}

func isUsageError(t *testing.T, args ...string) {
	t.Helper()
	status, out, errs := run(t, args...)
	require.Equal(t, exitUsage, status, "highwater %q: %s", args, errs)
	require.Empty(t, out)
	lines := strings.Split(strings.TrimSpace(errs), "\n")
	require.Len(t, lines, 2, "highwater %q: %s", args, errs)
	require.Regexp(t, `^error: \S`, lines[0])
	require.Regexp(t, `^hint: \S`, lines[1], "highwater %q", args)
}

// walk visits every command, the hidden ones too.
func walk(t *testing.T, visit func(*cobra.Command)) {
	t.Helper()
	a := &app{App: &cli.App{Terminal: terminal.New(strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{})}}
	root := a.root()
	root.InitDefaultHelpCmd()
	var each func(*cobra.Command)
	each = func(c *cobra.Command) {
		visit(c)
		for _, sub := range c.Commands() {
			each(sub)
		}
	}
	for _, c := range root.Commands() {
		each(c)
	}
}

// TestHelp: every command's help ends in an example, and the example parses: its command is there, its flags are, its
// arguments are as many as wanted.
func TestHelp(t *testing.T) {
	walk(t, func(c *cobra.Command) {
		name := c.CommandPath()
		require.NotEmpty(t, c.Short, name)
		require.NotEmpty(t, c.Example, name)
		status, help, errs := run(t, append(strings.Fields(name)[1:], "--help")...)
		require.Equal(t, exitDone, status, errs)
		require.Empty(t, errs)
		require.True(t, strings.HasSuffix(help, "\nExample:\n"+c.Example+"\n"), "%s does not end in its example:\n%s",
			name, help)
		require.Contains(t, help, c.UseLine(), name)
		for _, line := range strings.Split(help, "\n") {
			require.LessOrEqual(t, len([]rune(line)), 130, "%s: %s", name, line)
		}
		for _, line := range strings.Split(strings.TrimSpace(c.Example), "\n") {
			parses(t, c, shellWords(t, line))
		}
	})
}

func parses(t *testing.T, want *cobra.Command, words []string) {
	t.Helper()
	require.Equal(t, "highwater", words[0])
	root := (&app{App: &cli.App{Terminal: terminal.New(strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{})}}).root()
	root.InitDefaultHelpCmd()
	c, args, err := root.Find(words[1:])
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(c.CommandPath(), want.CommandPath()), "the example of %s is of %s",
		want.CommandPath(), c.CommandPath())
	require.NoError(t, c.ParseFlags(args), "%q", words)
	require.NoError(t, c.ValidateArgs(c.Flags().Args()), "%q", words)
}

// shellWords splits a line as a shell does: single quotes, and nothing after a redirection or another command.
func shellWords(t *testing.T, line string) (words []string) {
	t.Helper()
	line, _, _ = strings.Cut(strings.TrimSpace(line), " > ")
	line, _, _ = strings.Cut(line, " && ")
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
			continue
		}
		words = append(words, strings.Fields(part)...)
	}
	require.NotEmpty(t, words)
	return words
}

// TestEveryCommandThatReadsHasJSON.
func TestEveryCommandThatReadsHasJSON(t *testing.T) {
	want := []string{"status", "check", "keys list", "keys show", "hwm list", "version", "demo"}
	walk(t, func(c *cobra.Command) {
		name := strings.TrimPrefix(c.CommandPath(), "highwater ")
		for i, w := range want {
			if w == name {
				require.NotNil(t, c.Flags().Lookup("json"), name)
				want = append(want[:i:i], want[i+1:]...)
				return
			}
		}
	})
	require.Empty(t, want)
}
