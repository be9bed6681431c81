package signer

import (
	"fmt"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/signer/keyring"
)

// AboveHorizon is the reason of a request above the level up to which this instance may sign.
const AboveHorizon = "above_horizon"

// RightChanged is to be called when the right may reach higher, or is gone. It does not wait.
func (s *Signer) RightChanged() { s.changes.Send() }

// mayNow is nil when the right covers a request. A request to be resumed stands at its own mark, which may be the floor
// itself.
func (s *Signer) mayNow(pkh tezos.PublicKeyHash, req tezos.Request, v hwm.Verdict) error {
	if s.right == nil {
		return nil
	}
	floor, limit, ok := s.right.May(pkh, req.Kind)
	at := hwm.Position{Level: req.Level, Round: req.Round}
	switch below := at.Compare(floor); {
	case !ok:
		return &Denial{Reason: NotActive, Text: "the right to sign is not here any more", Hint: "see: highwater status"}
	case below < 0, below == 0 && v != hwm.Resume:
		return &Denial{
			Reason: string(hwm.NotAbove), Text: fmt.Sprintf("%s is not above the floor of the right to sign (%s): another "+
				"instance may have signed at the level", at, floor),
		}
	case req.Level > limit:
		return s.aboveHorizon(req.Level, limit)
	}
	return nil
}

func (s *Signer) aboveHorizon(level, limit int32) *Denial {
	d := &Denial{
		Reason: AboveHorizon, Text: fmt.Sprintf("level %d is above the horizon %d, the last level that may be signed now",
			level, limit),
		Hint: "see the register's line: highwater status",
	}
	if why := s.right.Why(); why != "" {
		d.Text += ": " + why
	}
	return d
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
