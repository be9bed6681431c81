package cmd

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"highwater/internal/config"
	"highwater/internal/daemon/daemontest"
)

// TestNoConfirmationIsWaitedFor: what wants a confirmation says so before it looks at anything, where nobody can give
// it: here there is not even a configuration.
func TestNoConfirmationIsWaitedFor(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.toml")
	commands := map[string]string{
		"init":               "init --state-dir " + filepath.Join(t.TempDir(), "none"),
		"activate":           "activate --level 5",
		"handover":           "handover --now",
		"release":            "release --at 5 --out f",
		"accept":             "accept --in f",
		"takeover":           "takeover --the-other-instance-cannot-sign",
		"drill":              "drill --handover",
		"register init":      "register init",
		"ledger deauthorize": "ledger deauthorize",
		"tezsign delete":     "tezsign delete consensus",
	}
	walk(t, func(c *cobra.Command) {
		name := strings.TrimPrefix(c.CommandPath(), "highwater ")
		// bring-up goes as far as it can, and says what waits; the others ask an instance that signs only.
		if c.Flags().Lookup("yes") == nil || slices.Contains([]string{"bring-up", "peer add", "peer remove"}, name) {
			require.NotContains(t, commands, name)
			return
		}
		require.Contains(t, commands, name, "a command with --yes")
		for _, more := range []string{"", " --json"} {
			if more != "" && c.Flags().Lookup("json") == nil {
				continue
			}
			status, out, errs := run(t, strings.Fields(commands[name]+more+" --config "+missing)...)
			require.Equal(t, exitFail, status, name)
			if more == "" {
				require.Empty(t, out, name)
			} else {
				require.Contains(t, out, `"reason": "unconfirmed"`, name)
			}
			require.Equal(t, "error: the command wants a confirmation, "+
				"and has no terminal to ask on\nhint: add --yes\n", errs, name)
		}
		if name != "init" { // which would make a configuration
			_, _, errs := run(t, strings.Fields(commands[name]+" --yes --config "+missing)...)
			require.NotContains(t, errs, "confirmation", name)
		}
	})
	for _, looks := range []string{"handover --dry-run", "takeover --check", "takeover", "drill"} {
		_, _, errs := run(t, strings.Fields(looks+" --config "+missing)...)
		require.Contains(t, errs, "no configuration at", looks)
	}
}

// TestJSONOrNothing: with --json standard output is one JSON value, or nothing, whatever goes wrong; errors go to
// standard error.
func TestJSONOrNothing(t *testing.T) {
	arguments := map[string]string{
		"keys show": "x", "keys pop": "x", "hwm show": "x", "hwm set": "--all --level 5", "hwm ceiling": "--all --level 5",
		"hwm import": "none",
		"peer add":   "127.0.0.1:1 " + strings.Repeat("a", 64), "release": "--at 5 --out f --yes",
		"accept":        "--in none --yes",
		"bundle export": "--out f", "bundle verify": "none", "bundle diff": "none", "tezsign new": "x --passphrase-fd 0",
		"tezsign unlock": "--all --passphrase-fd 0", "tezsign lock": "--all", "tezsign delete": "x --yes --passphrase-fd 0",
		"takeover": "--the-other-instance-cannot-sign --yes", "activate": "--yes", "handover": "--yes",
		"wait-window":   "--check",
		"register init": "--yes", "register detach": "--the-other-instances-cannot-sign --head 5",
	}
	t.Chdir(t.TempDir())
	for world, prepare := range map[string]string{
		"nothing": "", "no store": "config", "a store": "init --yes",
	} {
		if prepare != "" {
			t.Setenv(config.Env, daemontest.WriteConfig(
				t, fmt.Sprintf("state_dir = %q\n", filepath.Join(t.TempDir(), "state"))+daemontest.Minimal))
		} else {
			t.Setenv(config.Env, filepath.Join(t.TempDir(), "none.toml"))
		}
		if strings.HasPrefix(prepare, "init") {
			status, _, errs := run(t, strings.Fields(prepare)...)
			require.Zero(t, status, errs)
		}
		walk(t, func(c *cobra.Command) {
			name := strings.TrimPrefix(c.CommandPath(), "highwater ")
			if c.Flags().Lookup("json") == nil || name == "demo" {
				return
			}
			status, out, errs := run(t, strings.Fields(name+" --json "+arguments[name])...)
			require.NotEqual(t, exitUsage, status, "%s: %s", name, errs)
			if status != exitDone && out == "" {
				require.Regexp(t, `(?m)^error: \S`, errs, "%s, %s", world, name)
				return
			}
			require.True(t, json.Valid([]byte(out)), "%s, %s: %s", world, name, out)
		})
	}
}
