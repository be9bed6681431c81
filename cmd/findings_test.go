package cmd

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFindings: each script can be run, says what was guessed and what was seen, and is in the list and on a page; and the
// pages name none that is not there.
func TestFindings(t *testing.T) {
	scripts, err := filepath.Glob("../findings/*.sh")
	require.NoError(t, err)
	require.NotEmpty(t, scripts)
	list, err := os.ReadFile("../findings/README.md")
	require.NoError(t, err)
	for _, script := range scripts {
		text := readScript(t, script)
		require.Regexp(t, `(?m)^# Guess: (.|\n)*^# Seen:  (.|\n)*^# So:    `, text, script)
		require.Contains(t, text, "set -euo pipefail", script)
		require.Contains(t, string(list), "| `"+filepath.Base(script)+"` |")
	}
	pages, err := filepath.Glob("../docs/*.md")
	require.NoError(t, err)
	shown := ""
	for _, page := range append(pages, "../findings/README.md") {
		text, readErr := os.ReadFile(page)
		require.NoError(t, readErr)
		shown += string(text)
		for _, m := range regexp.MustCompile("`(?:findings/)?([a-z0-9-]+\\.sh)` ?\\|").FindAllStringSubmatch(
			string(text), -1) {
			require.FileExists(t, "../findings/"+m[1], page)
		}
	}
	for _, script := range scripts {
		require.Contains(t, shown, "`findings/"+filepath.Base(script)+"`", "no page has the use of it")
	}
}

func readScript(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&0o100, path)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}
