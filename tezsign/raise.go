package tezsign

import (
	"cmp"
	"context"
	"strconv"

	"highwater/internal/device"
	"highwater/internal/tezos"
)

var _ device.Raiser = (*Device)(nil)

// RaiseMarks compares the gadget's marks with the host's now, and raises the marks of unlocked keys that are behind.
func (d *Device) RaiseMarks(ctx context.Context) ([]device.Standing, error) {
	before := map[tezos.PublicKeyHash]int32{}
	err := d.held(ctx, func(l *link) error {
		for _, k := range l.keys {
			before[k.PKH] = k.Level()
		}
		clear(l.reconciled) // held compares keys that are not reconciled
		return nil
	})
	if err != nil {
		return nil, err
	}
	note := d.Status().Detail
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]device.Standing, 0, len(d.keys))
	for _, k := range d.keys {
		out = append(out, d.standing(k, before[k.PKH], note))
	}
	return out, nil
}

// standing is called with d.mu held.
func (d *Device) standing(k KeyState, before int32, note string) device.Standing {
	st := device.Standing{PKH: k.PKH, Level: k.Level(), Allowed: -1, Why: k.usable()}
	if st.Why != "" {
		if k.Locked && !k.Corrupted {
			st.Command = "highwater tezsign unlock --device " + d.cfg.Name + " " + k.Alias
		}
		return st
	}
	if level, ok := d.allowed[k.PKH]; ok {
		st.Allowed = level
	}
	st.Raised = st.Level == st.Allowed && before < st.Level
	if st.Level < st.Allowed {
		st.Why = cmp.Or(note, "the mark was not raised")
		st.Command = "highwater tezsign set-level --device " + d.cfg.Name + " " + k.Alias +
			" --level " + strconv.Itoa(int(st.Allowed))
	}
	return st
}

func (d *Device) setAllowed(marks []device.Mark) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.allowed = map[tezos.PublicKeyHash]int32{}
	for _, m := range marks {
		d.allowed[m.PKH] = m.Level
	}
}
