package signer

import (
	"context"
	"math"
	"strings"
	"sync"
	"time"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
)

var (
	_ device.Reconciler = (*Signer)(nil)
	_ device.MarkSetter = (*Signer)(nil)
	_ device.Reconciler = (*reconciler)(nil)
	_ device.MarkSetter = (*reconciler)(nil)
)

// reconciler is the Signer for one configured device. Memories of a device go by its name here and its identity: two
// Ledgers of one seed share the identity.
type reconciler struct {
	s    *Signer
	name string
}

// Reconciler compares the marks of the device of this name. See device.Reconciler and device.MarkSetter.
func (s *Signer) Reconciler(name string) device.Reconciler { return &reconciler{s, name} }

// Reconcile is the Reconciler's for a device without a name.
func (s *Signer) Reconcile(ctx context.Context, id string, marks []device.Mark) ([]device.Mark, string, error) {
	return s.Reconciler("").Reconcile(ctx, id, marks)
}

// Reconcile compares a device's own marks with the host's, at each connection. See device.Reconciler.
//
// Reconcile never makes a mark: a device's own mark can be lost or reset, so a key without a mark stays without. Each
// contradiction is an alarm as well, which outlives the connection.
func (r *reconciler) Reconcile(_ context.Context, id string, marks []device.Mark) ([]device.Mark, string, error) {
	s := r.s
	w := s.signed.Connected(r.name, id)
	var raise []device.Mark
	var fell []string
	byKey := map[tezos.PublicKeyHash]bool{}
	s.strange.Forget(w.Name, marks)
	for _, m := range marks {
		known, backwards, err := s.noteSeen(w, m)
		if err != nil {
			return nil, "", err
		}
		if backwards != "" {
			fell = append(fell, backwards)
			s.RaiseAlarm(AlarmBackwards, w.String(), m.PKH.String(), w.String()+": "+backwards, hintBackwards)
		}
		if err := s.raiseHost(w, known, m); err != nil {
			return nil, "", err
		}
		if !byKey[m.PKH] {
			byKey[m.PKH] = true
			if level, ok := s.room(m.PKH); ok {
				raise = append(raise, device.Mark{PKH: m.PKH, Level: level})
			}
		}
	}
	return raise, strings.Join(fell, "; "), nil
}

// SetMarks is the Reconciler's for a device without a name.
func (s *Signer) SetMarks(id string, marks []device.Mark) error {
	return (&reconciler{s, ""}).SetMarks(id, marks)
}

// SetMarks is told of marks that an operator set on the device. See device.MarkSetter.
func (r *reconciler) SetMarks(id string, marks []device.Mark) error {
	w := r.s.signed.Connected(r.name, id)
	for _, m := range marks {
		passed, err := r.s.passed(m)
		if err != nil {
			return err
		}
		if err := r.s.raiseTo(m, passed, hwm.SourceSet); err != nil {
			return err
		}
		r.s.noteFell(w, m)
		if err := r.s.setBase(w, m); err != nil {
			return err
		}
		if err := r.s.store.SetSeen(w.Key(), m.PKH, m.Kind, hwm.Position{Level: m.Level, Round: m.Round}); err != nil {
			return err
		}
	}
	return nil
}

// room is the level to which a device may be raised for a key with all its marks: the lowest that any of the marks
// allows.
func (s *Signer) room(pkh tezos.PublicKeyHash) (int32, bool) {
	k, ok := s.ring.Lookup(pkh)
	if !ok {
		return 0, false
	}
	lowest := int32(math.MaxInt32)
	for _, kind := range k.Kinds() {
		st, err := s.store.State(k.Mark(s.chain, kind))
		if err != nil {
			return 0, false
		}
		level, ok := hwm.Room(st, pkh.Curve)
		if !ok {
			return 0, false
		}
		lowest = min(lowest, level)
	}
	return lowest, len(k.Kinds()) > 0
}

// raiseTimeout bounds the time for a device. A gadget that derives keys answers nothing for so long.
const raiseTimeout = 20 * time.Second

// DeviceMarks compares a device's own marks with ours, after the device was raised as far as possible unattended.
type DeviceMarks struct {
	Device string            `json:"device"`
	Keys   []device.Standing `json:"keys"`
	// Problem is why nothing was compared, with Advice beside. The next connection of the device compares the marks
	// in any case.
	Problem string `json:"problem,omitempty"`
	Advice  string `json:"advice,omitempty"`
}

// RaiseDevices compares every device's own marks with ours, and raises the device's where possible unattended: never
// so far that a request within the rule would be lost. A device's marks are the second line: signing neither waits
// for them nor depends on them.
func (s *Signer) RaiseDevices(ctx context.Context) []DeviceMarks {
	out := make([]DeviceMarks, len(s.devices))
	var all sync.WaitGroup
	for i, d := range s.devices {
		all.Go(func() { out[i] = s.raiseDevice(ctx, d) })
	}
	all.Wait()
	return out
}

func (s *Signer) raiseDevice(ctx context.Context, d Device) DeviceMarks {
	out := DeviceMarks{Device: d.Name(), Keys: []device.Standing{}}
	r, ok := d.(device.Raiser)
	st := d.Status()
	switch {
	case !ok:
		out.Problem = "the device's marks cannot be compared"
		return out
	case st.Health != device.Ready:
		out.Problem, out.Advice = "the device is "+string(st.Health), st.Advice
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, raiseTimeout)
	defer cancel()
	keys, err := r.RaiseMarks(ctx)
	if err != nil {
		out.Problem = err.Error()
		s.log.Warn("device marks not compared", "device", d.Name(), "error", err)
		return out
	}
	out.Keys = append(out.Keys, keys...)
	return out
}
