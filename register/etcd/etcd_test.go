package etcd_test

import (
	"context"
	"errors"
	"fmt"
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
	"highwater/test/harness"
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

// start runs a cluster of one member, and gives its client endpoint.
func start(t *testing.T, more ...string) string {
	t.Helper()
	dir := t.TempDir()
	client, peer := "http://"+harness.Address(t), "http://"+harness.Address(t)
	args := append([]string{
		server(t), "--name", "a", "--data-dir", filepath.Join(dir, "data"), "--listen-client-urls", client, "--advertise-client-urls",
		client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "a=" + peer,
	}, more...)
	process, err := harness.Spawn(filepath.Join(dir, "log"), args...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, process.EndAnyhow()) })
	return client
}

func TestConformance(t *testing.T) {
	endpoint := start(t)
	dead := "http://" + harness.Address(t)
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

// open gives a register whose members answer.
func open(t *testing.T, cfg etcd.Config) *etcd.Register {
	t.Helper()
	r, err := etcd.Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	require.Eventually(t, func() bool {
		_, err = r.Read(t.Context())
		return err == nil || errors.Is(err, register.ErrAbsent)
	}, 30*time.Second, 20*time.Millisecond, "etcd does not answer")
	return r
}

func TestAnotherClusterIsNoAnswer(t *testing.T) {
	ours, theirs := start(t), start(t, "--initial-cluster-token", "another")
	const key = "/highwater/mixed"
	a, b := open(t, etcd.Config{Endpoints: []string{ours}, Key: key}),
		open(t, etcd.Config{Endpoints: []string{theirs}, Key: key})
	e, created, err := a.Create(t.Context(), []byte("ours"))
	require.NoError(t, err)
	require.True(t, created)
	other, created, err := b.Create(t.Context(), []byte("theirs"))
	require.NoError(t, err)
	require.True(t, created)
	require.NotEqual(t, e.Version.Cluster, other.Version.Cluster)

	mixed := open(t, etcd.Config{Endpoints: []string{theirs, ours}, Key: key, Cluster: e.Version.Cluster})
	got, err := mixed.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, "ours", string(got.Value), "one wrong endpoint is passed over")

	wrong, err := etcd.Open(etcd.Config{Endpoints: []string{theirs}, Key: key, Cluster: e.Version.Cluster})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, wrong.Close()) })
	_, err = wrong.Read(t.Context())
	require.ErrorIs(t, err, register.ErrOlder)
	require.ErrorContains(t, err, fmt.Sprintf("%x", other.Version.Cluster))
}

func TestWatchTellsOfAChange(t *testing.T) {
	r := open(t, etcd.Config{Endpoints: []string{start(t)}, Key: "/highwater/watched"})
	ctx, stop := context.WithCancel(t.Context())
	heard, ended := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(ended)
		r.Watch(ctx, func() {
			select {
			case heard <- struct{}{}:
			default:
			}
		})
	}()
	e, _, err := r.Create(t.Context(), []byte("0"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { // the watch may begin after a change
		if e, _, err = r.Swap(t.Context(), e, append(e.Value, '0')); err != nil {
			return false
		}
		select {
		case <-heard:
			return true
		default:
			return false
		}
	}, 30*time.Second, 20*time.Millisecond)
	stop()
	<-ended
}
