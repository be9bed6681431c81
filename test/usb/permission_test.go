//go:build usblab

package usb_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/device"
)

// udev is a running udevd of this machine, started once: from then on, libusb learns of devices from it.
type udev struct{ t *testing.T }

func (u udev) admin(args ...string) {
	u.t.Helper()
	cmd := exec.CommandContext(u.t.Context(), filepath.Join(os.Getenv("LAB_CACHE"), "udev", "bin", "udevadm"), args...)
	out, err := cmd.CombinedOutput()
	require.NoError(u.t, err, "udevadm %v: %s", args, out)
}

// startUdev runs udevd with this project's rules only.
func startUdev(t *testing.T) udev {
	t.Helper()
	require.NoError(t, os.RemoveAll("/etc/udev/rules.d"))
	require.NoError(t, os.MkdirAll("/etc/udev/rules.d", 0o755))
	require.NoError(t, os.RemoveAll("/run/udev")) // the socket of one that has ended would look like a running one
	require.NoError(t, os.MkdirAll("/run/udev", 0o755))
	path := filepath.Join(os.Getenv("LAB_CACHE"), "udev", "bin", "udevadm")
	cmd := &exec.Cmd{Path: path, Args: []string{"systemd-udevd"}} // the name decides what it is
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	u := udev{t}
	require.Eventually(t, func() bool {
		return exec.CommandContext(t.Context(), path, "control", "--ping").Run() == nil
	}, patience, 20*time.Millisecond, "udevd runs")
	return u
}

// installRules does what the hint says.
func (u udev) installRules() {
	u.t.Helper()
	rules, err := filepath.Glob(filepath.Join(os.Getenv("LAB_SOURCE"), "deploy", "udev", "*.rules"))
	require.NoError(u.t, err)
	require.Len(u.t, rules, 2)
	for _, r := range rules {
		text, err := os.ReadFile(r)
		require.NoError(u.t, err)
		require.NoError(u.t, os.WriteFile("/etc/udev/rules.d/"+filepath.Base(r), text, 0o644))
	}
	u.admin("control", "--reload")
	u.admin("trigger", "--subsystem-match=usb")
	u.admin("settle", "--timeout=30")
}

// Numbers of a user and a group of our own.
const (
	nobody = 61234
	gid    = 61235
)

// addGroup does what groupadd does.
func addGroup(t *testing.T) {
	t.Helper()
	f, err := os.OpenFile("/etc/group", os.O_APPEND|os.O_WRONLY, 0o644)
	require.NoError(t, err)
	_, err = fmt.Fprintf(f, "highwater:x:%d:\n", gid)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// TestPermission runs the signer as an ordinary user: before the udev rules, with them but outside the group, and in
// the group. No root is needed to serve; and from here on udevd runs, so the devices' files change owner a moment after
// they appear.
func TestPermission(t *testing.T) {
	addGroup(t)
	both(t, func(t *testing.T, kind string, d *emulated) {
		d.plug()
		outside := &syscall.Credential{Uid: nobody, Gid: nobody}
		s := prepare(t, section("dev", kind, ""), outside)
		s.serve()
		s.until("it says what is missing",
			func() bool { return strings.Contains(s.states()["dev"].Advice, "deploy/udev/70-highwater-"+kind) })
		require.Equal(t, device.Absent, s.states()["dev"].Health)

		u := startUdev(t)
		u.installRules()
		s.until("it says which group",
			func() bool { return strings.Contains(s.states()["dev"].Advice, "usermod -aG highwater") })
		s.stop()

		s.user.Groups = []uint32{gid}
		s.serve()
		began := time.Now()
		s.health("dev", device.Ready)
		took(t, "ordinary user: start to ready", time.Since(began))
		key := s.keys(1)[0]
		s.activate()
		require.NoError(t, s.sign(key, 1001, 1))
		for level := int32(1002); level < 1005; level++ {
			d.unplug()
			s.health("dev", device.Absent)
			began = time.Now()
			d.plug()
			require.NoError(t, s.sign(key, level, 1))
			returned(t, "ordinary user: plugged in again to the signature", time.Since(began))
		}
		s.stop()
		require.NoError(t, os.RemoveAll("/etc/udev/rules.d"))
	})
}
