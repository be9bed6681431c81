package signer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/words"
)

// DrainTimeout is how long a change of role waits for the signatures under way before it gives them up.
const DrainTimeout = 5 * time.Second

// ErrNotOwner is returned by Resume when the durable role does not let this instance sign.
var ErrNotOwner = errors.New("the durable role does not let this instance sign")

// Become is the one way from a role to the next. To a role that does not sign: newcomers are refused at once, those inside are
// waited for (what the wait gives up never leaves), then the role is durable. To active: role, floors and ceilings are durable in
// one write, then requests are let in. An active role in another owner's epoch means that this instance may go on up to its
// ceilings: nothing is closed, and nothing that was closed opens.
//
// A change that its epoch forbids changes nothing. Any other that fails leaves requests refused if they were, or if it was to stop
// signing.
func (s *Signer) Become(
	ctx context.Context, next hwm.RoleRecord, floors []hwm.Row, ceilings ...hwm.CeilingChange,
) (hwm.RoleRecord, error) {
	s.roleMu.Lock()
	defer s.unlockRole()
	return s.become(ctx, next, floors, ceilings)
}

func (s *Signer) become(
	ctx context.Context, next hwm.RoleRecord, floors []hwm.Row, ceilings []hwm.CeilingChange,
) (hwm.RoleRecord, error) {
	if err := hwm.CheckSuccession(s.store.Role(), next); err != nil {
		return hwm.RoleRecord{}, err
	}
	if next.Role != hwm.Active {
		s.gate.close()
		drain, cancel := context.WithTimeout(ctx, DrainTimeout)
		s.gate.drain(drain)
		cancel()
	}
	mine, capped := next.Owner == s.store.Instance(), s.capped.Load()
	if next.Role == hwm.Active && !mine {
		s.gate.between(func() { s.capped.Store(true) }) // before the new epoch is there
	}
	next.Since = s.now()
	if err := s.store.SetRole(next, floors, ceilings...); err != nil {
		s.capped.Store(capped)
		return hwm.RoleRecord{}, err
	}
	if next.Role == hwm.Active && mine {
		s.capped.Store(false)
		s.gate.open()
	}
	now := s.store.Role()
	s.unsaid = append(s.unsaid, func() { s.log.Info("role", "role", now.Role.String(), "epoch", now.Epoch, "why", now.Why) })
	s.changed(now)
	return now, nil
}

// unlockRole ends a change of role, and then writes its lines: nobody waits for a log with the lock in hand.
func (s *Signer) unlockRole() {
	lines := s.unsaid
	s.unsaid = nil
	s.roleMu.Unlock()
	for _, line := range lines {
		line()
	}
}

// Resume lets requests in again after a start for which Config.Hold kept them out: the other instance knows nothing newer, and
// floors is what it knows of marks. They are durable before anything is signed.
func (s *Signer) Resume(floors []hwm.Row) error {
	s.roleMu.Lock()
	defer s.unlockRole()
	role := s.store.Role()
	if role.Role != hwm.Active || role.Owner != s.store.Instance() {
		return fmt.Errorf("%w: it is %s in epoch %d", ErrNotOwner, role.Role, role.Epoch)
	}
	if _, err := s.store.Raise(floors); err != nil {
		return err
	}
	s.capped.Store(false)
	s.gate.open()
	s.unsaid = append(s.unsaid, func() { s.log.Info("resumed", "role", role.Role.String(), "epoch", role.Epoch) })
	s.changed(role)
	return nil
}

// Explain says why an active instance does not sign for now, and what to do about it.
func (s *Signer) Explain(text, hint string) {
	s.gate.explain(&Denial{Reason: NotActive, Text: text, Hint: hint})
}

// NoKeys says that no key is known yet, so that something cannot be done, and why: a device that is there may be locked, or was not looked
// for yet.
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
			out.Hint = "if highwater serve has just begun, wait some seconds and try again; otherwise connect the device and run: highwater keys list"
		default:
			out.Text += ": the device " + d.Name() + " is " + string(st.Health)
			out.Hint = cmp.Or(st.Advice, out.Hint)
		}
		return out
	}
	return out
}

// Activate makes this instance the one that signs, in a new epoch. With a level, the floors of all keys are raised to it in the
// same write; without, every key must have its marks.
func (s *Signer) Activate(level *int32, why string) (hwm.RoleRecord, error) {
	s.roleMu.Lock()
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

// CheckActivate finds what Activate would lack: a key, or without a level a mark. It changes nothing.
func (s *Signer) CheckActivate(level *int32) error {
	if len(s.ring.all()) == 0 {
		return s.NoKeys("there is nothing to sign with")
	}
	if level != nil {
		return nil
	}
	missing, err := s.MissingMarks()
	if err != nil || len(missing) == 0 {
		return err
	}
	return &Denial{
		Reason: string(hwm.NoMark), Text: fmt.Sprintf("%s missing, the first: %s", words.Count(len(missing), "watermark"), missing[0]),
		Hint: "set them first (highwater hwm set --all --level LEVEL), or give activate a --level above all that was ever signed",
	}
}

// Floors are the rows that raise all marks of all known keys to a level.
func (s *Signer) Floors(level int32, source hwm.Source) []hwm.Row {
	var floors []hwm.Row
	for _, k := range s.ring.all() {
		for _, kind := range k.kinds() {
			floors = append(floors, hwm.Row{Key: k.mark(s.chain, kind), Mark: hwm.Floor(level, s.now(), source)})
		}
	}
	return floors
}

// Stand ends signing in the epoch that is, as Become does.
func (s *Signer) Stand(ctx context.Context, role hwm.Role, why string) (hwm.RoleRecord, error) {
	if role == hwm.Active {
		return hwm.RoleRecord{}, fmt.Errorf("%s is not a role to stand by in", role)
	}
	s.roleMu.Lock()
	defer s.unlockRole()
	next := s.store.Role()
	next.Role, next.Why = role, why
	return s.become(ctx, next, nil, nil)
}

// stillUncapped looks again as a mark is about to move: a cut-over may have come after the decision. The caller is in pass.do.
func (s *Signer) stillUncapped(mark hwm.Key) error {
	if !s.capped.Load() {
		return nil
	}
	state, err := s.store.State(mark)
	if err != nil {
		return err
	}
	return s.uncapped(state)
}

// uncapped refuses what a cut-over by level forgot: in another owner's epoch, a key without a ceiling does not sign.
func (s *Signer) uncapped(state hwm.State) error {
	if s.capped.Load() && state.Ceiling == nil {
		return &Denial{
			Reason: NotActive, Text: "signing was given to the other instance from a level on, and this key has no ceiling there",
			Hint: "see: highwater status",
		}
	}
	return nil
}
