package signer

import (
	"cmp"
	"context"
	"fmt"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/hints"
	"highwater/internal/words"
)

// Activate makes this instance sign, in a new epoch. With a level the same write raises the floors of all keys to the
// level; without, every key must have its marks.
func (s *Signer) Activate(level *int32, why string) (hwm.RoleRecord, error) {
	s.lockRole()
	defer s.unlockRole()
	if err := s.CheckActivate(level); err != nil {
		return hwm.RoleRecord{}, err
	}
	var floors []hwm.Row
	if level != nil {
		floors = s.Floors(*level, hwm.SourceSet)
	}
	prev := s.store.Role()
	if prev.Role == hwm.Active {
		_, err := s.store.Raise(floors)
		return prev, err
	}
	next := hwm.RoleRecord{Role: hwm.Active, Epoch: prev.Epoch + 1, Owner: s.store.Instance(), Why: why}
	return s.become(context.Background(), next, floors, nil)
}

// CheckActivate finds a key, or without a level a mark, which Activate would lack. CheckActivate changes nothing.
func (s *Signer) CheckActivate(level *int32) error {
	if len(s.ring.All()) == 0 {
		return s.NoKeys("nothing could be signed")
	}
	if level != nil {
		return nil
	}
	missing, err := s.MissingMarks()
	if err != nil || len(missing) == 0 {
		return err
	}
	return &Denial{
		Reason: string(hwm.NoMark), Text: fmt.Sprintf("%s missing, the first: %s", words.Count(len(missing), "watermark"),
			missing[0]),
		Hint: "above every signed level: " + hints.Level("highwater activate --level", s.Reached()) +
			"; or first the marks alone: " + hints.Level("highwater hwm set --all --level", s.Reached()),
	}
}

// NoKeys says that no key is known yet, and why: a connected device may be locked, or was not looked for yet. The
// text so names the impossible act.
func (s *Signer) NoKeys(so string) *Denial {
	out := &Denial{
		Reason: UnknownKey, Text: "no key is known yet: " + so, Hint: "connect the device and run: highwater keys list",
	}
	for _, d := range s.devices {
		st := d.Status()
		switch {
		case st.Health == device.Ready:
			continue
		case st.Advice == device.NotLookedFor:
			out.Text += ": the device " + d.Name() + " was not looked for yet"
			out.Hint = "if highwater serve has just begun, wait some seconds and try again; otherwise connect the device " +
				"and run: highwater keys list"
		default:
			out.Text += ": the device " + d.Name() + " is " + string(st.Health)
			out.Hint = cmp.Or(st.Advice, out.Hint)
		}
		return out
	}
	return out
}

// MissingMarks lists the marks on our chain that known keys lack: a key without a mark does not sign.
func (s *Signer) MissingMarks() ([]hwm.Key, error) {
	var out []hwm.Key
	for _, k := range s.ring.All() {
		for _, kind := range k.Kinds() {
			key := k.Mark(s.chain, kind)
			st, err := s.store.State(key)
			if err != nil {
				return nil, err
			}
			if st.Mark == nil {
				out = append(out, key)
			}
		}
	}
	return out, nil
}

// Floors are rows: they raise all marks of all known keys to a level.
func (s *Signer) Floors(level int32, source hwm.Source) []hwm.Row {
	var floors []hwm.Row
	for _, k := range s.ring.All() {
		for _, kind := range k.Kinds() {
			floors = append(floors, hwm.Row{Key: k.Mark(s.chain, kind), Mark: hwm.Floor(level, s.now(), source)})
		}
	}
	return floors
}
