package daemon_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/config"
	"highwater/internal/daemon"
	"highwater/internal/daemon/daemontest"
	"highwater/internal/logtest"
	"highwater/signer"
	"highwater/store"
	"highwater/store/storetest"
)

// brokenDaemon runs a daemon until it ends by itself.
func brokenDaemon(t *testing.T, text string, before func(*store.DB)) (
	d *daemon.Daemon, said *logtest.Log, ended chan error,
) {
	t.Helper()
	cfg, err := config.Load(daemontest.WriteConfig(t, "state_dir = \"state\"\n"+text))
	require.NoError(t, err)
	require.NoError(t, store.Create(t.Context(), cfg.StateDir, time.Now()))
	said = &logtest.Log{}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(said.String())
		}
	})
	d, err = daemon.New(t.Context(), cfg, slog.New(slog.NewTextHandler(said, nil)), "test")
	require.NoError(t, err)
	before(d.Store)
	d.TrialEvery = time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	ended = make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	return d, said, ended
}

// TestAFailedSyncEndsTheDaemon: with its own exit status, and hooks and alarms are told before.
func TestAFailedSyncEndsTheDaemon(t *testing.T) {
	for _, with := range []string{storetest.NoSpace, storetest.FailedSync} {
		hook := newHungHook(t)
		hook.letGo()
		d, said, ended := brokenDaemon(
			t, fmt.Sprintf("%s[hooks]\nwebhook = %q\n", daemontest.Minimal, hook.url), func(*store.DB) {})
		storetest.Break(t, d.Store.Path(), with)
		require.ErrorIs(t, d.Store.Probe(), store.ErrPoisoned)
		err := daemontest.Within(t, ended)
		require.True(t, store.Fails(err), "%v", err)
		e := <-hook.events
		require.Equal(t, signer.AlarmDisk, e.Alarm)
		require.Contains(t, e.Text, "a commit to the watermark file failed")
		require.NotEmpty(t, e.Hint)
		require.Contains(t, said.String(), "alarm=disk")
	}
}

// TestAHookThatHangsDoesNotKeepABrokenDaemon: its end is bounded.
func TestAHookThatHangsDoesNotKeepABrokenDaemon(t *testing.T) {
	hook := newHungHook(t)
	d, _, ended := brokenDaemon(t,
		fmt.Sprintf("%s[hooks]\nwebhook = %q\ntimeout = \"1s\"\n", daemontest.Minimal, hook.url), func(*store.DB) {})
	storetest.Break(t, d.Store.Path(), storetest.FailedSync)
	require.ErrorIs(t, d.Store.Probe(), store.ErrPoisoned)
	require.True(t, store.Fails(daemontest.Within(t, ended)))
	require.Equal(t, signer.AlarmDisk, (<-hook.events).Alarm)
}

// TestABrokenBackupStaysForQuestions: until its disk works again; then it ends, to be started anew.
func TestABrokenBackupStaysForQuestions(t *testing.T) {
	d, said, ended := brokenDaemon(t, daemontest.Minimal, func(db *store.DB) {
		require.NoError(t, db.SetPeer(&hwm.Peer{Address: "127.0.0.1:1", Key: hwm.InstanceID{7}}))
	})
	trial := filepath.Join(d.Config.StateDir, "disk-trial")
	require.NoError(t, os.Mkdir(trial, 0o700))
	storetest.Break(t, d.Store.Path(), storetest.FailedSync)
	require.ErrorIs(t, d.Store.Probe(), store.ErrPoisoned)
	require.Eventually(t, func() bool {
		return strings.Contains(said.String(), "stays for the peer's questions")
	}, daemontest.Patience, time.Millisecond)
	st, err := d.Admin.Status(t.Context())
	require.NoError(t, err)
	require.Contains(t, st.Store, "a commit to the watermark file failed")
	require.Equal(t, signer.AlarmDisk, st.Alarms[0].Name)
	select {
	case err := <-ended:
		require.Fail(t, "it ended", "%v", err)
	default:
	}
	require.NoError(t, os.Remove(trial))
	require.True(t, store.Fails(daemontest.Within(t, ended)))
}

// TestAStartOnABrokenDisk is refused before anything is promised; an instance that still answers another one starts.
func TestAStartOnABrokenDisk(t *testing.T) {
	cfg, err := config.Load(daemontest.WriteConfig(t, "state_dir = \"state\"\n"+daemontest.Minimal))
	require.NoError(t, err)
	in := openedInstance(t, cfg)
	require.NoError(t, in.TryDisk())
	storetest.Break(t, in.Store.Path(), storetest.NoSpace)
	require.True(t, store.Fails(in.TryDisk()))
	require.NoError(t, in.Close())

	in, err = daemon.Open(t.Context(), cfg, daemon.Options{Log: slog.New(slog.DiscardHandler), Running: true})
	require.NoError(t, err)
	require.NoError(t, in.Store.SetPeer(&hwm.Peer{Address: "127.0.0.1:1", Key: hwm.InstanceID{7}}))
	storetest.Break(t, in.Store.Path(), storetest.NoSpace)
	require.NoError(t, in.TryDisk())
	require.NoError(t, in.Close())
}
