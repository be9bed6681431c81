package cmd

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	testName   = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	quotedName = regexp.MustCompile("`([^`]+)`")
)

// testNames gives the name of each test of the repository.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	require.NoError(t, filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == ".git" || entry.Name() == ".cache"):
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range testName.FindAllStringSubmatch(string(text), -1) {
			out[m[1]] = true
		}
		return err
	}))
	return out
}

// proved gives the names in a table's last cell: tests, findings and files of test/clients. The word read is none.
func proved(t *testing.T, line string, tests map[string]bool) (names int, read bool) {
	t.Helper()
	cells := strings.Split(strings.TrimSuffix(line, " |"), " | ")
	last := cells[len(cells)-1]
	for _, m := range quotedName.FindAllStringSubmatch(last, -1) {
		switch name := m[1]; {
		case strings.HasPrefix(name, "Test"):
			require.True(t, tests[name], "%s: no test has this name\n%s", name, line)
		case strings.HasPrefix(name, "findings/"), strings.HasPrefix(name, "test/clients/"):
			require.FileExists(t, "../"+name, line)
		case strings.HasSuffix(name, ".mjs"):
			require.FileExists(t, "../test/clients/"+name, line)
		default:
			continue // where a test stands
		}
		names++
	}
	return names, regexp.MustCompile(`\bread$`).MatchString(last)
}

// TestBehaviourHasItsProof: each line about clients and devices names a test or a finding that is there, or was read.
func TestBehaviourHasItsProof(t *testing.T) {
	tests := testNames(t)
	for page, least := range map[string]int{"../docs/clients.md": 30, "../docs/devices.md": 25} {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		rows, proof := 0, false
		for _, line := range strings.Split(string(text), "\n") {
			if strings.HasPrefix(line, "|--") || !strings.HasPrefix(line, "| ") {
				proof = proof && strings.HasPrefix(line, "|--")
				continue
			}
			if strings.HasSuffix(line, "| held by |") {
				proof = true
				continue
			}
			if !proof {
				continue
			}
			rows++
			names, read := proved(t, line, tests)
			require.True(t, names > 0 || read, "no proof:\n%s", line)
		}
		require.GreaterOrEqual(t, rows, least, page)
	}
}
