package etcd_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"highwater/register"
	"highwater/register/etcd"
	"highwater/register/registertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is the etcd program: the one that HIGHWATER_ETCD names, or the one on the path.
func server(t *testing.T) string {
	t.Helper()
	path := os.Getenv("HIGHWATER_ETCD")
	if path == "" {
		var err error
		path, err = exec.LookPath("etcd")
		require.NoError(t, err, "this test needs etcd: scripts/install-deps.sh etcd")
	}
	return path
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// start runs one member, and gives its client endpoint.
func start(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	client, peer := fmt.Sprintf("http://127.0.0.1:%d", freePort(t)), fmt.Sprintf("http://127.0.0.1:%d", freePort(t))
	log, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), server(t), "--name", "a", "--data-dir", filepath.Join(dir, "data"), "--listen-client-urls", client,
		"--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "a="+peer)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
	})
	return client
}

func TestConformance(t *testing.T) {
	endpoint := start(t)
	dead := fmt.Sprintf("http://127.0.0.1:%d", freePort(t))
	keys := 0
	registertest.Suite(t, func(t *testing.T) register.Backend {
		keys++
		r, err := etcd.Open(etcd.Config{Endpoints: []string{dead, endpoint}, Key: fmt.Sprintf("/highwater/%d", keys)})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, r.Close()) })
		require.Eventually(t, func() bool {
			_, err := r.Read(t.Context())
			return err != nil && errors.Is(err, register.ErrAbsent)
		}, 30*time.Second, 50*time.Millisecond, "etcd does not answer")
		return r
	})
}
