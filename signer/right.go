package signer

import (
	"context"
	"fmt"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/signer/keyring"
)

// Right says between which positions this instance may sign now, where the right to sign is shared with other instances. Implementations are safe for
// concurrent use, and never wait.
type Right interface {
	// May gives the position above which a key signs, and the level up to which; ok false: nothing may be signed.
	May(pkh tezos.PublicKeyHash, kind tezos.Kind) (floor hwm.Position, limit int32, ok bool)
	// Wanted is told that a request waits above the limit.
	Wanted()
	// Why says why the limit does not rise; empty: no reason is known.
	Why() string
}

// AboveHorizon is the reason of a request above the level up to which this instance may sign.
const AboveHorizon = "above_horizon"

// RightChanged is to be called when the right may reach higher, or is gone. It does not wait.
func (s *Signer) RightChanged() { s.changes.send() }

// mayNow is nil when the right covers a request. A request to be resumed stands at its own mark, which may be the floor itself.
func (s *Signer) mayNow(r *request, v hwm.Verdict) error {
	if s.right == nil {
		return nil
	}
	floor, limit, ok := s.right.May(r.key.PKH, r.Kind)
	at := hwm.Position{Level: r.Level, Round: r.Round}
	switch below := at.Compare(floor); {
	case !ok:
		return &Denial{Reason: NotActive, Text: "the right to sign is not here any more", Hint: "see: highwater status"}
	case below < 0, below == 0 && v != hwm.Resume:
		return &Denial{
			Reason: string(hwm.NotAbove), Text: fmt.Sprintf("%s is not above the floor of the right to sign (%s): another instance may have signed at the level", at, floor),
		}
	case r.Level > limit:
		return s.aboveHorizon(r.Level, limit)
	}
	return nil
}

func (s *Signer) aboveHorizon(level, limit int32) *Denial {
	d := &Denial{
		Reason: AboveHorizon, Text: fmt.Sprintf("level %d is above the horizon %d, the last level that may be signed now", level, limit),
		Hint: "see the register's line: highwater status",
	}
	if why := s.right.Why(); why != "" {
		d.Text += ": " + why
	}
	return d
}

// within waits for the right to reach a request, for as long as the request has. A level that no extension is under way for is not waited for: a
// client must not keep other requests out.
func (s *Signer) within(ctx context.Context, r *request, v hwm.Verdict) error {
	for {
		changed := s.changes.wait()
		err := s.mayNow(r, v)
		if err == nil || ReasonOf(err) != AboveHorizon || !s.comesSoon(r.Level) {
			return err
		}
		r.out.Reached(StageRight, "")
		s.right.Wanted()
		select {
		case <-changed:
		case <-ctx.Done():
			return err
		}
		r.out.Reached(StageQueue, "")
	}
}

// comesSoon tells a level that the owner's next extension covers.
func (s *Signer) comesSoon(level int32) bool {
	head := s.head()
	return head == nil || int64(level) <= int64(head.Level)+1+headLag
}

// rightFault tells why the key's next level is above the right; nil: it is covered, or the right is not here.
func (s *Signer) rightFault(key *keyring.Key) *KeyFault {
	head := s.head()
	if s.right == nil || head == nil {
		return nil
	}
	_, limit, ok := s.right.May(key.PKH, key.Kinds()[0])
	if !ok || int64(limit) > int64(head.Level) {
		return nil
	}
	d := s.aboveHorizon(head.Level+1, limit)
	return &KeyFault{Reason: KeyLevel, Text: d.Text, Hint: d.Hint}
}
