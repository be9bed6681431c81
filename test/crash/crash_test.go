package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	_ "highwater/cmd" // what is built and killed here: Go's cache of results must know of it
)

// TestCrash is the suite in short, on a disk that syncs slowly: an answer that leaves before its mark is found out within some kills.
func TestCrash(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()) // what a failure leaves goes with the test
	binary := filepath.Join(t.TempDir(), "highwater")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "highwater/cmd/highwater").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NoError(t, run(t.Context(), binary, 8, 1, 100))
}
