package cmd

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	pageLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fenced   = regexp.MustCompile("(?s)```.*?```")
	notInIDs = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// headingIDs gives the anchors that the headings of a page make, as GitHub makes them.
func headingIDs(text string) map[string]bool {
	out := map[string]bool{}
	for _, line := range strings.Split(fenced.ReplaceAllString(text, ""), "\n") {
		if title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			out[strings.ReplaceAll(notInIDs.ReplaceAllString(strings.ToLower(title), ""), " ", "-")] = true
		}
	}
	return out
}

// TestDocsLinksLeadSomewhere: each link between the pages has its file, and its heading.
func TestDocsLinksLeadSomewhere(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	require.NoError(t, err)
	seen := 0
	for _, page := range append(pages, "../README.md", "../SECURITY.md", "../CHANGELOG.md") {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, m := range pageLink.FindAllStringSubmatch(fenced.ReplaceAllString(string(text), ""), -1) {
			file, id, _ := strings.Cut(m[1], "#")
			if strings.Contains(file, "://") {
				continue
			}
			seen++
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
				_, err := os.Stat(target)
				require.NoError(t, err, "%s links to %s", page, m[1])
			}
			if id == "" {
				continue
			}
			there, err := os.ReadFile(target)
			require.NoError(t, err)
			require.True(t, headingIDs(string(there))[id], "%s links to %s, and no heading of %s makes that anchor", page, m[1],
				target)
		}
	}
	require.Greater(t, seen, 60)
}
