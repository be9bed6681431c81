package cmd

import (
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestSIGHUPAtTheFirstMoment: a SIGHUP during the initialization of the packages ends a command as usual, and the signer
// not. The runtime's trace of the initialization does not fit into its pipe: the process waits there for its reader.
func TestSIGHUPAtTheFirstMoment(t *testing.T) {
	for command, killed := range map[string]bool{"serve": false, "version": true} {
		t.Run(command, func(t *testing.T) {
			program, err := os.Executable()
			require.NoError(t, err)
			trace, w, err := os.Pipe()
			require.NoError(t, err)
			defer trace.Close()
			_, err = unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, os.Getpagesize())
			require.NoError(t, err)
			c := exec.CommandContext(t.Context(), program)
			c.Args = []string{"highwater", command}
			c.Env = append(os.Environ(), "GODEBUG=inittrace=1", "HIGHWATER_CONFIG="+t.TempDir()+"/none.toml")
			c.Stderr = w
			require.NoError(t, c.Start())
			require.NoError(t, w.Close())
			_, err = trace.Read(make([]byte, 1))
			require.NoError(t, err)
			require.NoError(t, c.Process.Signal(syscall.SIGHUP))
			rest, err := io.ReadAll(trace)
			require.NoError(t, err)
			require.Error(t, c.Wait(), "the configuration does not exist")
			status, ok := c.ProcessState.Sys().(syscall.WaitStatus)
			require.True(t, ok)
			require.Equal(t, killed, status.Signaled(), "%s", rest)
		})
	}
}
