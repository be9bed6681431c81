package cmd

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/api"
	"highwater/cmd/cli"
	"highwater/internal/config"
	"highwater/internal/daemon/daemontest"
	"highwater/internal/hints"
	"highwater/internal/terminal"
	"highwater/operate"
	"highwater/store"
	"highwater/store/storetest"
)

// TestTheExitStatusOfABrokenDisk: of the process, with the words and the advice on its standard error.
func TestTheExitStatusOfABrokenDisk(t *testing.T) {
	path := daemontest.WriteConfig(t, "state_dir = \"state\"\n"+daemontest.Minimal+"[server]\nlisten = \"127.0.0.1:0\"\n")
	cfg, err := config.Load(path)
	require.NoError(t, err)
	require.NoError(t, store.Create(t.Context(), cfg.StateDir, time.Now()))
	var errw bytes.Buffer
	status := make(chan int, 1)
	go func() { status <- Main([]string{"serve", "--config", path}, &bytes.Buffer{}, &bytes.Buffer{}, &errw) }()
	var client *api.Client
	require.Eventually(t, func() bool {
		c, dialErr := api.Dial(t.Context(), cfg.Admin.Socket)
		client = c
		return dialErr == nil
	}, scriptPatience, time.Millisecond)
	storetest.Break(t, filepath.Join(cfg.StateDir, store.FileName), storetest.NoSpace)
	_, err = client.Standby(t.Context(), operate.StandbyRequest{Why: "a write"})
	require.Error(t, err)
	require.Equal(t, exitDisk, daemontest.Within(t, status))
	require.Contains(t, errw.String(), "error: a commit to the watermark file failed")
	require.Contains(t, errw.String(),
		"hint: make room on the file system of the state directory (df), then restart highwater")
}

// TestASocketThatCannotBeOpened: a command that may not open the daemon's socket does not go behind its back.
func TestASocketThatCannotBeOpened(t *testing.T) {
	cfg, err := config.Load(daemontest.WriteConfig(t, "state_dir = \"state\"\n"+daemontest.Minimal))
	require.NoError(t, err)
	require.NoError(t, store.Create(t.Context(), cfg.StateDir, time.Now()))
	require.NoError(t, os.Symlink(cfg.Admin.Socket, cfg.Admin.Socket)) // ELOOP: neither absent nor refused
	var out bytes.Buffer
	a := &app{App: &cli.App{Terminal: terminal.New(&out, &out, &out)}}
	_, _, err = a.Admin(t.Context(), cfg, false)
	require.Error(t, err)
	require.NotEmpty(t, hints.Of(err), err.Error())
}
