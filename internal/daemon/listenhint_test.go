package daemon

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/api"
)

// TestListenHint: each way in which a listener fails to open has its own next act.
func TestListenHint(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	taken, err := net.Listen("unix", filepath.Join(dir, "taken")) //nolint:noctx // a test
	require.NoError(t, err)
	defer taken.Close()
	for address, want := range map[string]string{
		"unix:" + file: "move the file away",
		"unix:" + filepath.Join(dir, "nowhere", "x"): "make the directory",
		"unix:" + filepath.Join(dir, "taken"):        "second program",
		"192.0.2.1:0":                                "is the network up",
	} {
		_, err := api.Listen(t.Context(), address, 0o600)
		require.Error(t, err, address)
		require.Contains(t, listenHint(err, "the octez address in a.toml"), want, "%v", err)
	}
	for err, want := range map[error]string{
		&net.OpError{Op: "listen", Err: os.NewSyscallError("bind", syscall.EACCES)}: "a port above 1023",
		&net.OpError{Op: "listen", Err: &net.DNSError{IsNotFound: true}}:            "an address in numbers",
		&net.OpError{Op: "listen", Err: syscall.EADDRINUSE}:                         "second program",
		errors.New("anything else"):                                                 "see the octez address in a.toml",
	} {
		require.Contains(t, listenHint(err, "the octez address in a.toml"), want, "%v", err)
	}
}
