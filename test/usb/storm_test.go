//go:build usblab

package usb_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/internal/usb"
	"highwater/ledger"
	"highwater/tezsign"
)

// TestReplug unplugs and plugs in at random while bakers ask: every device that stays signs again in time, nothing is
// signed twice, and the daemon takes no more in the end than at a quarter. Nothing tells libusb of devices that come,
// as in a container.
func TestReplug(t *testing.T) { replug(t) }

// TestReplugUdev is the same on a machine with udevd, as most are.
func TestReplugUdev(t *testing.T) {
	addGroup(t)
	startUdev(t).installRules()
	replug(t)
}

func replug(t *testing.T) {
	t.Helper()
	nano, tez := startLedger(t, "storm"), startTezSign(t, "T-1", "storm")
	nano.plug()
	tez.plug()
	smallPages(t)
	const monitor = "127.0.0.1:6799"
	s := prepare(t, "[monitor]\nlisten = \""+monitor+"\"\n"+section("nano", "ledger", "")+section(
		"tez", "tezsign", ""), nil)
	s.serve()
	s.health("nano", device.Ready)
	s.health("tez", device.Ready)
	keys := s.keys(2)
	slices.SortFunc(keys, func(a, b *tezos.PublicKey) int { return int(a.Curve()) - int(b.Curve()) })
	s.activate()

	storm := newStorm(t, []*stormy{
		{name: "nano", cable: nano, key: keys[0], match: ledger.IsUSB},
		{name: "tez", cable: tez, key: keys[1], match: tezsign.IsUSB},
	})
	use := storm.run(s, stormFor(t), "http://"+monitor+"/metrics")
	for _, d := range storm.devices {
		s.health(d.name, device.Ready)
		require.NoError(t, s.sign(d.key, d.asked[len(d.asked)-1].level+1000, 1))
	}
	keepLog(t, s)
	storm.judge()
	flat(t, use)
	took(t, "SIGTERM to the end", s.stop())
	_, err := tez.stdin.Write([]byte("violations\n"))
	require.NoError(t, err)
	for _, v := range strings.Split(tez.wait("violations", ""), "; ") {
		require.NotContains(t, v, "torn")
		require.NotContains(t, v, "unlock")
	}
}

// stormFor is how long the storm blows.
func stormFor(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("LAB_STORM")
	if text == "" {
		return 20 * time.Second
	}
	d, err := time.ParseDuration(text)
	require.NoError(t, err)
	return d
}

// keepLog leaves the daemon's log beside the table.
func keepLog(t *testing.T, s *signerProcess) {
	t.Helper()
	require.NoError(t, os.WriteFile(
		filepath.Join(os.Getenv("LAB_RESULTS"), strings.TrimPrefix(t.Name(), "Test")+".log"), []byte(s.process.Output()),
		0o644))
}

// stormy is a device that is plugged in and out, and the baker that asks it all the time.
type stormy struct {
	name  string
	cable *emulated
	key   *tezos.PublicKey
	match usb.Match

	mu      sync.Mutex
	stays   []stay
	asked   []asked
	last    usb.ID
	plugged time.Time       // the last time
	came    []time.Duration // from each plugging in to the end of the enumeration: the kernel's time, not the signer's
}

// stay is the time from the moment the kernel has enumerated a device to the moment the cable is pulled.
type stay struct{ from, to time.Time }

// asked is a request.
type asked struct {
	level    int32
	from, to time.Time
	err      error
}

type storm struct {
	t       *testing.T
	devices []*stormy
}

func newStorm(t *testing.T, devices []*stormy) *storm {
	t.Helper()
	s := &storm{t: t, devices: devices}
	for _, d := range devices {
		s.look(d)
		require.Len(t, d.stays, 1, d.name)
	}
	return s
}

// look notes a device that the kernel has enumerated since the last look, and the end of a stay. A kernel short of time
// loses a device, and enumerates it anew, without anybody's touching the cable.
func (s *storm) look(d *stormy) {
	found, err := usb.List(d.match)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil || len(found) == 1 && found[0].ID == d.last {
		return
	}
	d.left()
	if len(found) == 1 {
		d.last = found[0].ID
		d.stays = append(d.stays, stay{from: time.Now()})
		if !d.plugged.IsZero() {
			d.came = append(d.came, time.Since(d.plugged))
		}
	}
}

// run lets bakers ask and pulls cables for a while. It gives what the daemon took at each quarter.
func (s *storm) run(p *signerProcess, duration time.Duration, metrics string) []usage {
	ctx, cancel := context.WithCancel(context.Background())
	var watcher, bakers sync.WaitGroup
	watcher.Go(func() {
		usb.Watch(ctx, func() {
			for _, d := range s.devices {
				s.look(d)
			}
		})
	})
	stop := make(chan struct{})
	for _, d := range s.devices {
		bakers.Go(func() { s.bake(p, d, stop) })
	}
	use := []usage{p.usage(metrics)}
	const parts = 4
	for range parts {
		end := time.After(duration / parts)
		for s.pull(end) {
		}
		use = append(use, p.usage(metrics))
	}
	close(stop)
	bakers.Wait()
	cancel()
	watcher.Wait()
	return use
}

// pull pulls a cable after a while, and plugs it in again. It is false when the time is over first.
func (s *storm) pull(end <-chan time.Time) bool {
	d := s.devices[rand.IntN(len(s.devices))]
	select {
	case <-end:
		return false
	case <-time.After(time.Duration(rand.IntN(1500)) * time.Millisecond): // when it happens is what is random here
	}
	d.mu.Lock()
	d.left()
	d.mu.Unlock()
	d.cable.unplug()
	d.mu.Lock()
	d.plugged = time.Now()
	d.mu.Unlock()
	d.cable.plug()
	return true
}

// left ends the stay that has not ended. The caller holds the lock.
func (d *stormy) left() {
	if n := len(d.stays); n > 0 && d.stays[n-1].to.IsZero() {
		d.stays[n-1].to = time.Now()
	}
}

// bake asks for one level after the other, and at each for something else too, which must never be signed as well.
func (s *storm) bake(p *signerProcess, d *stormy, stop <-chan struct{}) {
	for level := int32(1001); ; level++ {
		select {
		case <-stop:
			return
		default:
		}
		from := time.Now()
		err := p.sign(d.key, level, 1)
		to := time.Now()
		if other := p.sign(d.key, level, 2); other == nil && err == nil {
			s.t.Errorf("%s: two payloads signed at level %d", d.name, level)
		}
		d.mu.Lock()
		d.asked = append(d.asked, asked{level, from, to, err})
		d.mu.Unlock()
	}
}

// judge holds every stay to the promise: somebody waits all the time, so that each begins with a request that waits,
// and which is signed in time, unless the cable is pulled before.
func (s *storm) judge() {
	t := s.t
	for _, d := range s.devices {
		var signed, refused []asked
		for _, a := range d.asked {
			if a.err == nil {
				signed = append(signed, a)
			} else {
				refused = append(refused, a)
				t.Logf("%s: level %d refused after %.2f s and %d re-plugs: %v", d.name, a.level, a.to.Sub(a.from).Seconds(),
					d.during(a), a.err)
				require.False(t, d.stayed(a), "it was there all the time")
			}
		}
		back, short := d.returns(signed)
		what := fmt.Sprintf("%s: %d re-plugs, %d signed, %d refused", d.name, len(d.stays)-1, len(signed), len(refused))
		require.NotEmpty(t, signed)
		require.NotEmpty(t, back)
		took(t, what+"; longest wait", d.longest(signed))
		slices.Sort(d.came)
		took(t, d.name+": plugged in to enumerated, median", at(d.came, 0.5))
		took(t, d.name+": back to signed, median", at(back, 0.5))
		took(t, d.name+": back to signed, 95 of 100", at(back, 0.95))
		took(t, d.name+": back to signed, slowest", at(back, 1))
		if len(short) > 0 {
			took(t, fmt.Sprintf("%s: %d times pulled again before it had signed; longest stay", d.name, len(short)),
				at(short, 1))
		}
		require.Less(t, at(append(back, short...), 1), patient(at(d.came, 0.5)), "%s signs again in time", d.name)
	}
}

// patient is what a return may take: five times what was promised, and more on a machine so busy that the kernel alone
// needs longer than a second for what takes a third of that.
func patient(enumeration time.Duration) time.Duration {
	return time.Duration(float64(slow*2*time.Second) * max(1, enumeration.Seconds()))
}

// stayed tells whether the device was there during the whole of a request.
func (d *stormy) stayed(a asked) bool {
	return slices.ContainsFunc(d.stays,
		func(s stay) bool { return s.from.Before(a.from) && (s.to.IsZero() || s.to.After(a.to)) })
}

// during is how often the device came back while a request was under way.
func (d *stormy) during(a asked) (n int) {
	for _, s := range d.stays {
		if s.from.After(a.from) && s.from.Before(a.to) {
			n++
		}
	}
	return n
}

// returns are the times from the enumeration to the next signature, but for the first stay, and how long it stayed
// where there was none.
func (d *stormy) returns(signed []asked) (back, short []time.Duration) {
	next := 0
	for _, s := range d.stays[1:] {
		for next < len(signed) && signed[next].to.Before(s.from) {
			next++
		}
		switch {
		case next < len(signed) && (s.to.IsZero() || signed[next].to.Before(s.to)):
			back = append(back, signed[next].to.Sub(s.from))
		case !s.to.IsZero():
			short = append(short, s.to.Sub(s.from))
		}
	}
	slices.Sort(back)
	slices.Sort(short)
	return back, short
}

// longest is how long a request waited at most, and tells of those that waited long.
func (d *stormy) longest(signed []asked) time.Duration {
	slices.SortFunc(signed, func(a, b asked) int { return int(b.to.Sub(b.from) - a.to.Sub(a.from)) })
	for _, a := range signed[:min(5, len(signed))] {
		d.cable.t.Logf("%s: level %d signed after %.2f s and %d re-plugs", d.name, a.level, a.to.Sub(a.from).Seconds(),
			d.during(a))
	}
	return signed[0].to.Sub(signed[0].from)
}

// at is a quantile of sorted, or the maximum of unsorted values.
func at(v []time.Duration, q float64) time.Duration {
	if q == 1 {
		return slices.Max(v)
	}
	return v[min(len(v)-1, int(q*float64(len(v))))]
}
