package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/test/harness"

	_ "highwater/cmd" // the program built and killed here, for Go's cache of results
)

// TestCrash is the short suite, on a disk with slow syncs. A few kills expose an answer that leaves before its mark,
// and a start that forgets the horizon.
func TestCrash(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()) // the test removes the leftovers of a failure
	binary := filepath.Join(t.TempDir(), "highwater")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "highwater/cmd/highwater").CombinedOutput()
	require.NoError(t, err, "%s", out)
	forgetful := filepath.Join(t.TempDir(), "forgetful")
	require.NoError(t, harness.BuildForgetful(t.Context(), forgetful))
	require.NoError(t, run(t.Context(),
		options{binary: binary, forgetful: forgetful, kills: 16, control: 1, slow: 100, aheads: []int{0, 2}}))
}
