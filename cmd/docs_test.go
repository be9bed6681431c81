package cmd

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/cmd/cli"
	"highwater/internal/config"
	"highwater/internal/terminal"
)

var (
	quotedCommand = regexp.MustCompile("`(highwater [^`]+)`")
	shownCommand  = regexp.MustCompile(`^ *(?:[A-Z]?\$ )?(?:sudo )?(?:-u highwater )?(highwater .+)$`)
	comment       = regexp.MustCompile(` +#.*| &$`)
	placeholder   = regexp.MustCompile(`\b[A-Z]+(\+\d+)?\b|…`)
)

// TestDocsNameCommandsThatAreThere: every command in the pages is one, with flags that it has, and with as many
// arguments as it wants where there are any.
func TestDocsNameCommandsThatAreThere(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	require.NoError(t, err)
	seen := 0
	for _, page := range append(pages, "../README.md", "../SECURITY.md") {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for i, line := range strings.Split(string(text), "\n") {
			for _, m := range append(quotedCommand.FindAllStringSubmatch(line, -1), shownCommand.FindAllStringSubmatch(line, -1)...) {
				seen++
				words := shellWords(t, placeholder.ReplaceAllString(comment.ReplaceAllString(m[1], ""), "5"))
				root := (&app{App: &cli.App{Terminal: terminal.New(strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{})}}).root()
				c, args, err := root.Find(words[1:])
				require.NoError(t, err, "%s:%d: %s", page, i+1, m[1])
				if c.HasSubCommands() && len(args) > 0 && !strings.HasPrefix(args[0], "-") {
					require.Equal(t, []string{"5"}, args, "%s:%d: %s", page, i+1, m[1]) // `highwater ledger …`
					continue
				}
				require.NoError(t, c.ParseFlags(args), "%s:%d: %s", page, i+1, m[1])
				if len(args) > 0 {
					require.NoError(t, c.ValidateArgs(c.Flags().Args()), "%s:%d: %s", page, i+1, m[1])
				}
			}
		}
	}
	require.Greater(t, seen, 80)
}

// TestUnitMatchesTheDefaults: the service's directories and commands are those that the program uses.
func TestUnitMatchesTheDefaults(t *testing.T) {
	text, err := os.ReadFile("../deploy/systemd/highwater.service")
	require.NoError(t, err)
	unit := map[string][]string{}
	for _, line := range strings.Split(string(text), "\n") {
		if key, value, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			unit[key] = append(unit[key], value)
		}
	}
	require.Equal(t, []string{"/usr/bin/highwater serve --config " + config.DefaultPath}, unit["ExecStart"])
	require.Equal(t, config.DefaultStateDir, "/var/lib/"+unit["StateDirectory"][0])
	require.Equal(t, []string{"0700"}, unit["StateDirectoryMode"])
	require.Equal(t, "/run/"+unit["RuntimeDirectory"][0], filepath.Dir(config.DefaultAdminSocket))
	require.Equal(t, []string{"notify"}, unit["Type"])
	require.Equal(t, []string{"highwater"}, unit["User"])
	for _, key := range []string{"NoNewPrivileges", "ProtectHome", "PrivateTmp", "LockPersonality"} {
		require.Equal(t, []string{"yes"}, unit[key], key)
	}
	require.Equal(t, []string{"strict"}, unit["ProtectSystem"])
	require.Equal(t, []string{""}, unit["CapabilityBoundingSet"])
	require.Equal(t, []string{"closed"}, unit["DevicePolicy"])
	require.NotContains(t, unit, "PrivateDevices", "it would hide the devices")
	require.Equal(t, []string{"on-failure"}, unit["Restart"], "a daemon whose disk failed ends, and is to be started anew")
	require.NotContains(t, unit, "RestartPreventExitStatus")
	number := func(key string) int {
		n, numErr := strconv.Atoi(unit[key][0])
		require.NoError(t, numErr, key)
		return n
	}
	longest := number("StartLimitBurst") * number("RestartMaxDelaySec")
	require.Greater(t, number("StartLimitIntervalSec"), longest, "a disk that still fails would be tried for ever")
	require.Contains(t, unit["RestrictAddressFamilies"][0], "AF_NETLINK")
	require.Equal(t, []string{"0"}, unit["MemorySwapMax"])
	require.Len(t, unit["Environment"], 1)
	var limit, bound int // the collector works harder before the kernel kills
	_, err = fmt.Sscanf(unit["Environment"][0]+" "+unit["MemoryMax"][0], "GOMEMLIMIT=%dMiB %dM", &limit, &bound)
	require.NoError(t, err)
	require.LessOrEqual(t, limit, bound*3/4)
}
