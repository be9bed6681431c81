package early

import (
	"fmt"
	"strings"
	"time"

	"highwater/internal/device"
)

const (
	reconnectSpan = time.Hour
	heldEvery     = 30 * time.Second // looking through all processes takes a while
)

// connection is the past of a device.
type connection struct {
	ready time.Time // the beginning of the last health ready; zero: never yet
	again []timed[struct{}]
}

// reconnects counts how often a device became ready again. The first time after a start does not count.
func (w *Watch) reconnects(now time.Time) (out []finding) {
	limit := w.limits.Reconnects
	if w.from.Devices == nil || limit == 0 {
		return nil
	}
	for _, d := range w.from.Devices() {
		c, ok := w.health[d.Name]
		if !ok {
			c = &connection{}
			w.health[d.Name] = c
		}
		if d.Health == device.Ready && !d.Since.Equal(c.ready) {
			if !c.ready.IsZero() {
				c.again = append(c.again, timed[struct{}]{at: now})
			}
			c.ready = d.Since
		}
		if c.again = lately(c.again, now, reconnectSpan); len(c.again) == 0 {
			continue
		}
		f := finding{
			name: Reconnects, of: d.Name, state: between,
			text: fmt.Sprintf("device %s was away and came back %d times within an hour", d.Name, len(c.again)),
			hint: "try another cable and another port, without a hub; dmesg tells of resets of USB",
		}
		if len(c.again) >= limit {
			f.state = bad
		}
		out = append(out, f)
	}
	return out
}

// deviceHeld looks for a program with the device open, while a device is away.
func (w *Watch) deviceHeld(now time.Time) (out []finding) {
	if w.from.Devices == nil || w.from.Holders == nil {
		return nil
	}
	look := now.Sub(w.heldAt) >= heldEvery
	if look {
		w.heldAt = now
	}
	for _, d := range w.from.Devices() {
		switch {
		case d.USB == "" || d.Health == device.Ready:
			delete(w.held, d.Name)
			continue
		case look:
			w.held[d.Name] = w.from.Holders(d.USB)
		}
		if who := w.held[d.Name]; len(who) > 0 {
			out = append(out, finding{
				name: DeviceHeld, of: d.Name, state: bad,
				text: fmt.Sprintf("device %s is not ready, and a different program has a %s open: %s", d.Name, d.USB,
					strings.Join(who, "; ")),
				hint: "end the other program: a device serves one program at a time, and no second signer may have the key",
			})
		}
	}
	return out
}
