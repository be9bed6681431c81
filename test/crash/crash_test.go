package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/test/harness"

	_ "highwater/cmd" // what is built and killed here: Go's cache of results must know of it
)

// TestCrash is the suite in short, on a disk that syncs slowly: an answer that leaves before its mark is found out
// within some kills, and so is a start that forgets the horizon.
func TestCrash(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()) // what a failure leaves goes with the test
	binary := filepath.Join(t.TempDir(), "highwater")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "highwater/cmd/highwater").CombinedOutput()
	require.NoError(t, err, "%s", out)
	forgetful := filepath.Join(t.TempDir(), "forgetful")
	require.NoError(t, harness.BuildForgetful(t.Context(), forgetful))
	require.NoError(t, run(t.Context(),
		options{binary: binary, forgetful: forgetful, kills: 16, control: 1, slow: 100, aheads: []int{0, 2}}))
}
