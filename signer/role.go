package signer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"highwater/hwm"
)

// DrainTimeout is how long a change of role waits for the signatures under way before giving them up.
const DrainTimeout = 5 * time.Second

// ErrNotOwner is returned by Resume when the durable role does not let this instance sign.
var ErrNotOwner = errors.New("the role on disk forbids signing")

// Become is the only way from a role to the next. To a role that does not sign: newcomers are refused at once;
// requests inside are waited for, and those given up never get out; then the role is durable. To active: role, floors
// and ceilings are durable in one write, then requests are let in. An active role in another owner's epoch lets this
// instance go on up to its ceilings: nothing is closed, and nothing closed opens.
//
// A change that its epoch forbids changes nothing. After any other failure requests stay refused if they were, or if
// the instance was to stop signing.
func (s *Signer) Become(
	ctx context.Context, next hwm.RoleRecord, floors []hwm.Row, ceilings ...hwm.CeilingChange,
) (hwm.RoleRecord, error) {
	s.lockRole()
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
		s.gate.Close()
		drain, cancel := context.WithTimeout(ctx, DrainTimeout)
		s.gate.Drain(drain)
		cancel()
	}
	mine, capped := next.Owner == s.store.Instance(), s.capped.Load()
	if next.Role == hwm.Active && !mine {
		s.gate.Between(func() { s.capped.Store(true) }) // before the new epoch exists
	}
	next.Since = s.now()
	if err := s.store.SetRole(next, floors, ceilings...); err != nil {
		s.capped.Store(capped)
		return hwm.RoleRecord{}, err
	}
	if next.Role == hwm.Active && mine {
		s.capped.Store(false)
		s.gate.Open()
	}
	now := s.store.Role()
	s.held.Info("role", "role", now.Role.String(), "epoch", now.Epoch, "why", now.Why)
	s.changed(now)
	return now, nil
}

// lockRole begins a change of role. Its lines wait until unlockRole: nobody waits for a log with the lock in hand.
func (s *Signer) lockRole() {
	s.roleMu.Lock()
	s.lines.Hold()
}

func (s *Signer) unlockRole() {
	s.roleMu.Unlock()
	s.lines.Release()
}

// Stand ends signing in the present epoch, as Become does.
func (s *Signer) Stand(ctx context.Context, role hwm.Role, why string) (hwm.RoleRecord, error) {
	if role == hwm.Active {
		return hwm.RoleRecord{}, fmt.Errorf("%s is not a role to stand by in", role)
	}
	s.lockRole()
	defer s.unlockRole()
	next := s.store.Role()
	next.Role, next.Why = role, why
	return s.become(ctx, next, nil, nil)
}

// Resume lets requests in again after a start for which Config.Hold kept requests out: the other instance knows
// nothing newer. floors are the marks that the other instance knows, durable before anything is signed.
func (s *Signer) Resume(floors []hwm.Row) error {
	s.lockRole()
	defer s.unlockRole()
	role := s.store.Role()
	if role.Role != hwm.Active || role.Owner != s.store.Instance() {
		return fmt.Errorf("%w: the role is %s, in epoch %d", ErrNotOwner, role.Role, role.Epoch)
	}
	if _, err := s.store.Raise(floors); err != nil {
		return err
	}
	s.capped.Store(false)
	s.gate.Open()
	s.held.Info("resumed", "role", role.Role.String(), "epoch", role.Epoch)
	s.changed(role)
	return nil
}

// Explain says why an active instance does not sign for now, with a hint.
func (s *Signer) Explain(text, hint string) {
	s.gate.Explain(&Denial{Reason: NotActive, Text: text, Hint: hint})
}

// Active tells whether requests are let in now.
func (s *Signer) Active() bool { return s.gate.IsOpen() }
