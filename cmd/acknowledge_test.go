package cmd

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/daemon/daemontest"
	"highwater/signer"
)

// TestAlarmsEndOneByOne: without a name one of several is not ended, nor all.
func TestAlarmsEndOneByOne(t *testing.T) {
	d := daemontest.Run(t, daemontest.Minimal+"[server]\nlisten = \"127.0.0.1:0\"\n")
	run := func(args ...string) (int, string) {
		var out bytes.Buffer
		status := Main(append(args, "--config", d.Config.Path), &bytes.Buffer{}, &out, &out)
		return status, out.String()
	}
	for _, about := range []string{"one", "two", "three"} {
		d.Signer.RaiseAlarm(signer.AlarmTwin, "a test", about, "the text of "+about, "a hint")
	}
	status, out := run("acknowledge")
	require.Equal(t, exitFail, status)
	require.Contains(t, out, "alarm 2: twin: the text of two")
	require.Contains(t, out, "3 alarms stand, and none was named: none was ended")
	require.Len(t, d.Signer.Alarms(), 3)
	status, out = run("acknowledge", "9")
	require.Equal(t, exitUsage, status, out)
	status, out = run("acknowledge", "2", "--all")
	require.Equal(t, exitUsage, status, out)
	status, out = run("acknowledge", "2")
	require.Equal(t, exitDone, status, out)
	require.Contains(t, out, "the text of two")
	require.NotContains(t, out, "the text of one")
	require.Len(t, d.Signer.Alarms(), 2)
	status, out = run("acknowledge", "--all")
	require.Equal(t, exitDone, status, out)
	require.Contains(t, out, "2 alarms acknowledged")
	require.Empty(t, d.Signer.Alarms())
	d.Signer.RaiseAlarm(signer.AlarmTwin, "a test", "four", "the only one", "a hint")
	status, out = run("acknowledge")
	require.Equal(t, exitDone, status, out)
	require.Empty(t, d.Signer.Alarms())
}
