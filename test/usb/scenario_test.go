//go:build usblab

package usb_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/baker"
	"highwater/internal/device"
)

// section is a device of the configuration. pin is a line such as `serial = "…"`, or nothing.
func section(name, kind, pin string) string {
	return fmt.Sprintf("[[device]]\nname = %q\nkind = %q\ntransport = \"usb\"\n%s\n", name, kind, pin)
}

func startLedger(t *testing.T, seed string, args ...string) *emulated {
	t.Helper()
	return start(t, "ledger", append([]string{"-chain", chain.String(), "-seed", seed}, args...)...)
}

func startTezSign(t *testing.T, serial, seed string, args ...string) *emulated {
	t.Helper()
	if fullSpeed {
		args = append(args, "-full-speed")
	}
	return start(t, "tezsign", append([]string{"-serial", serial, "-seed", seed}, args...)...)
}

// fullSpeed tells which bus the machine has.
var fullSpeed = os.Getenv("LAB_SPEED") == "full"

// took notes a time in the table.
func took(t *testing.T, what string, d time.Duration) {
	t.Helper()
	if fullSpeed {
		what = "full speed: " + what
	}
	line := fmt.Sprintf("%-28s %-66s %8.3f s\n", strings.TrimPrefix(t.Name(), "Test"), what, d.Seconds())
	f, err := os.OpenFile(filepath.Join(os.Getenv("LAB_RESULTS"), "table.txt"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	require.NoError(t, err)
	_, err = f.WriteString(line)
	require.NoError(t, errors.Join(err, f.Close()))
}

// returned notes how long a device that came back took to sign again, and holds it to the promise: within 2 s after
// enumeration.
func returned(t *testing.T, what string, d time.Duration) {
	t.Helper()
	took(t, what, d)
	require.Less(t, d, slow*2*time.Second)
}

// slow is how much slower than a real machine this one may be.
const slow = 5

// TestDiscovery has two devices of each kind connected at once, each pinned to its own section.
func TestDiscovery(t *testing.T) {
	left, right := startTezSign(t, "T-left", "left"), startTezSign(t, "T-right", "right")
	one, two := startLedger(t, "one"), startLedger(t, "two", "-keyboard")
	for _, d := range []*emulated{left, right, one, two} {
		d.plug()
	}
	ids := ledgerIDs(t, 2)
	s := prepare(t, section("left", "tezsign", `serial = "T-left"`)+section("right", "tezsign", `serial = "T-right"`)+
		section("one", "ledger", `id = "`+ids[0]+`"`)+section("two", "ledger", `id = "`+ids[1]+`"`), nil)
	began := time.Now()
	s.serve()
	for _, name := range []string{"left", "right", "one", "two"} {
		s.health(name, device.Ready)
	}
	took(t, "start to four devices ready", time.Since(began))
	states := s.states()
	require.Equal(t, "T-left", states["left"].ID)
	require.Equal(t, "T-right", states["right"].ID)
	require.Equal(t, ids[0], states["one"].ID)
	require.Equal(t, ids[1], states["two"].ID)
	keys := s.keys(4)
	s.activate()
	var all sync.WaitGroup
	for _, key := range keys {
		all.Go(func() {
			for level := int32(1001); level <= 1005; level++ {
				began := time.Now()
				if err := s.sign(key, level, 1); err != nil {
					t.Errorf("%s at %d: %v", key.Hash(), level, err)
				}
				if level == 1005 {
					took(t, "a signature, four devices at once: "+key.Curve().String(), time.Since(began))
				}
			}
		})
	}
	all.Wait()
	for _, key := range keys {
		require.Error(t, s.sign(key, 1005, 2), "a double signature")
		require.NoError(t, s.sign(key, 1005, 1), "the same again")
	}
	// They stay where they are when both leave and come back at each other's port.
	one.unplug()
	two.unplug()
	s.health("one", device.Absent)
	s.health("two", device.Absent)
	two.plug()
	one.plug()
	s.health("one", device.Ready)
	s.health("two", device.Ready)
	require.Equal(t, ids[0], s.states()["one"].ID)
	require.Equal(t, ids[1], s.states()["two"].ID)
	took(t, "SIGTERM to the end", s.stop())
	for _, d := range []*emulated{left, right} {
		_, err := d.stdin.Write([]byte("violations\n"))
		require.NoError(t, err)
		require.Empty(t, d.wait("violations", ""))
	}
}

// ledgerIDs asks every connected Ledger for its four words, as an operator would who has two.
func ledgerIDs(t *testing.T, n int) []string {
	t.Helper()
	sections := ""
	for i := range n {
		sections += section(fmt.Sprint("any", i), "ledger", "")
	}
	s := prepare(t, sections, nil)
	s.serve()
	var ids []string
	for i := range n {
		name := fmt.Sprint("any", i)
		s.health(name, device.Ready)
		ids = append(ids, s.states()[name].ID)
	}
	s.stop()
	require.Len(t, ids, n)
	return ids
}

// both runs a scenario with a device of each kind.
func both(t *testing.T, run func(t *testing.T, kind string, d *emulated)) {
	t.Run("ledger", func(t *testing.T) { run(t, "ledger", startLedger(t, t.Name())) })
	t.Run("tezsign", func(t *testing.T) { run(t, "tezsign", startTezSign(t, "T-1", t.Name())) })
}

// TestAfterStart plugs a device in when the signer runs already, and after it was gone.
func TestAfterStart(t *testing.T) {
	both(t, func(t *testing.T, kind string, d *emulated) {
		s := prepare(t, section("dev", kind, ""), nil)
		s.serve()
		s.health("dev", device.Absent)
		began := time.Now()
		d.plug()
		s.health("dev", device.Ready)
		took(t, "plugged in to ready", time.Since(began))
		key := s.keys(1)[0]
		s.activate()
		require.NoError(t, s.sign(key, 1001, 1))

		d.unplug()
		took(t, "unplugged to absent", s.health("dev", device.Absent))
		waiting := make(chan error, 1)
		go func() { waiting <- s.sign(key, 1002, 1) }()
		began = time.Now()
		d.plug()
		require.NoError(t, <-waiting, "the request that waited gets its signature")
		returned(t, "plugged in again to the waiting signature", time.Since(began))
		s.stop()
	})
}

// TestNever has a device that never comes: requests are refused in time, and say why; the end comes at once.
func TestNever(t *testing.T) {
	both(t, func(t *testing.T, kind string, d *emulated) {
		d.plug()
		const short = 3 * time.Second
		s := prepareBudget(t, section("dev", kind, ""), nil, short)
		s.serve()
		s.health("dev", device.Ready)
		key := s.keys(1)[0]
		s.activate()
		d.unplug()
		s.health("dev", device.Absent)
		began := time.Now()
		err := s.sign(key, 1001, 1)
		var refusal *baker.Refusal
		require.ErrorAs(t, err, &refusal)
		took(t, "refused within the budget", time.Since(began))
		require.Less(t, time.Since(began), slow*short)
		require.NotEmpty(t, s.states()["dev"].Advice)
		took(t, "SIGTERM to the end", s.stop())
	})
}

// TestWrongSerial has another device than the configured one.
func TestWrongSerial(t *testing.T) {
	t.Run("tezsign", func(t *testing.T) {
		other := startTezSign(t, "T-other", "other")
		other.plug()
		s := prepare(t, section("dev", "tezsign", `serial = "T-mine"`), nil)
		s.serve()
		s.until("it says so", func() bool { return strings.Contains(s.states()["dev"].Detail, "T-mine") })
		require.Equal(t, device.Absent, s.states()["dev"].Health)
		mine := startTezSign(t, "T-mine", "mine")
		mine.plug()
		s.health("dev", device.Ready)
		s.stop()
	})
	t.Run("ledger", func(t *testing.T) {
		mine, other := startLedger(t, "mine"), startLedger(t, "other")
		mine.plug()
		id := ledgerIDs(t, 1)[0]
		mine.unplug()
		other.plug()
		s := prepare(t, section("dev", "ledger", `id = "`+id+`"`), nil)
		s.serve()
		s.until("it says so", func() bool { return strings.Contains(s.states()["dev"].Detail, "another Ledger") })
		require.Equal(t, device.Absent, s.states()["dev"].Health)
		mine.plug()
		s.health("dev", device.Ready)
		require.Equal(t, id, s.states()["dev"].ID)
		s.stop()
	})
}

// TestKernelDriver lets usbhid bind to a Ledger first; it gets the interface back in the end.
func TestKernelDriver(t *testing.T) {
	d := startLedger(t, "kernel", "-keyboard")
	d.plug()
	require.Eventually(t, func() bool { return len(bound("usbhid")) == 2 }, patience, 20*time.Millisecond, "usbhid binds")
	before := bound("usbhid")
	s := prepare(t, section("dev", "ledger", ""), nil)
	s.serve()
	s.health("dev", device.Ready)
	require.Len(t, bound("usbhid"), 1, "the keyboard stays with the kernel")
	require.Len(t, bound("usbfs"), 1)
	s.stop()
	require.Equal(t, before, bound("usbhid"))
}

// bound are the interfaces that a kernel driver has.
func bound(driver string) []string {
	all, err := filepath.Glob("/sys/bus/usb/drivers/" + driver + "/*:*")
	if err != nil {
		return nil
	}
	return all
}

// TestInUse has a second signer hold the device: the first one keeps it, the other says so and takes it when it is
// free.
func TestInUse(t *testing.T) {
	both(t, func(t *testing.T, kind string, d *emulated) {
		d.plug()
		first := prepare(t, section("dev", kind, ""), nil)
		first.serve()
		first.health("dev", device.Ready)
		second := prepare(t, section("dev", kind, ""), nil)
		second.serve()
		second.health("dev", device.Busy)
		require.Contains(t, second.states()["dev"].Advice, "another program")
		require.Equal(t, device.Ready, first.states()["dev"].Health)
		first.stop()
		took(t, "released to taken by another", second.health("dev", device.Ready))
		second.stop()
	})
}

// TestSpare pulls the first of two devices with the same key.
func TestSpare(t *testing.T) {
	both(t, func(t *testing.T, kind string, first *emulated) {
		var spare *emulated
		pins := [2]string{}
		if kind == "ledger" {
			spare = startLedger(t, t.Name())
		} else {
			spare = startTezSign(t, "T-2", t.Name())
			pins = [2]string{`serial = "T-1"`, `serial = "T-2"`}
		}
		first.plug()
		s := prepare(t, section("first", kind, pins[0])+section("spare", kind, pins[1]), nil)
		s.serve()
		s.until("one is ready", func() bool {
			st := s.states()
			return st["first"].Health == device.Ready || st["spare"].Health == device.Ready
		})
		spare.plug()
		s.health("first", device.Ready)
		s.health("spare", device.Ready)
		key := s.keys(1)[0]
		s.activate()
		for level := int32(1001); level <= 1003; level++ {
			require.NoError(t, s.sign(key, level, 1))
		}
		first.unplug()
		began := time.Now()
		require.NoError(t, s.sign(key, 1004, 1))
		took(t, "first one unplugged to the spare's signature", time.Since(began))
		require.Error(t, s.sign(key, 1004, 2))
		first.plug()
		s.health("first", device.Ready)
		spare.unplug()
		require.NoError(t, s.sign(key, 1005, 1))
		require.Error(t, s.sign(key, 1005, 2))
		s.stop()
	})
}

// TestCut pulls the cable in the middle of a frame, and in place of an answer; the request is answered once the device
// is back, or its mark is spent. Nothing is signed twice.
func TestCut(t *testing.T) {
	both(t, func(t *testing.T, kind string, d *emulated) {
		d.plug()
		s := prepare(t, section("dev", kind, ""), nil)
		s.serve()
		s.health("dev", device.Ready)
		key := s.keys(1)[0]
		s.activate()
		cuts := []string{"cut"}
		if kind == "tezsign" {
			cuts = []string{"cut-frame", "cut-answer"}
		}
		level := int32(1001)
		for _, cut := range cuts {
			level++
			d.do(cut)
			waiting := make(chan error, 1)
			go func() { waiting <- s.sign(key, level, 1) }()
			d.wait("cut", "")
			began := time.Now()
			d.plug()
			err := <-waiting
			returned(t, fmt.Sprintf("%s: plugged in again to the answer (signed: %t)", cut, err == nil), time.Since(began))
			require.Error(t, s.sign(key, level, 2), "other bytes at the same place")
			s.health("dev", device.Ready)
			require.NoError(t, s.sign(key, level+1, 1))
			level++
		}
		s.stop()
	})
}

// TestTerminate sends SIGTERM while signatures are under way, and while the device is silent.
func TestTerminate(t *testing.T) {
	run := func(t *testing.T, kind string, d *emulated) {
		d.plug()
		s := prepare(t, section("dev", kind, ""), nil)
		s.serve()
		s.health("dev", device.Ready)
		key := s.keys(1)[0]
		s.activate()
		for level := int32(1001); level <= 1003; level++ {
			if level > 1001 {
				s.serve()
				s.health("dev", device.Ready)
			}
			asked := make(chan error, 1)
			go func() { asked <- s.sign(key, level, 1) }()
			s.until("it is on the wire", func() bool { return strings.Contains(s.process.Output(), sending[kind]) })
			d := s.stop()
			require.NoError(t, <-asked, "an exchange under way is finished")
			took(t, "SIGTERM during a transfer to the end", d)
		}
	}
	t.Run("ledger", func(t *testing.T) { run(t, "ledger", startLedger(t, t.Name(), "-latency", "500ms")) })
	t.Run("tezsign", func(t *testing.T) { run(t, "tezsign", startTezSign(t, "T-1", t.Name(), "-latency", "500ms")) })
}

// sending is what the log says when a signature was asked for.
var sending = map[string]string{"ledger": "command=select", "tezsign": "request=sign"}
