package ledger

import (
	"cmp"
	"fmt"

	"highwater/internal/device"
	"highwater/internal/tezos"
)

// maxLevel is the highest level that the app can sign: the two top bits must be clear.
const maxLevel = 0x3fffffff

// check refuses payloads that the app cannot sign, or would sign as something else.
func (d *Device) check(key sessionKey, payload []byte) error {
	switch {
	case key.Curve == BLS12381:
		return refused(adviceTZ4, reasonTZ4)
	case len(payload) > MaxPayload:
		return refused("use another device for this key: the app sets the limit", fmt.Sprintf(
			"the payload has %d bytes, and the app takes %d", len(payload), MaxPayload))
	case tezos.IsRegistration(payload):
		return d.checkRegistration(key, payload)
	}
	req, err := tezos.Decode(key.Curve.Tezos(), payload)
	if err != nil {
		return refused("", err.Error())
	}
	if req.Level > maxLevel {
		return refused("", fmt.Sprintf("level %d, and the app takes levels from 0 to %d", req.Level, maxLevel))
	}
	return checkMark(key, req)
}

// checkRegistration refuses an operation when operations are not allowed, when the operation does not belong to a
// registration, or when the app cannot read the operation.
func (d *Device) checkRegistration(key sessionKey, payload []byte) error {
	if !d.cfg.AllowOperations {
		return refused("allow reveal or delegation for the key, while the role is standby",
			"operations are not sent to a baking Ledger: a reveal resets the round of its own water mark")
	}
	reg, err := tezos.DecodeRegistration(key.pub, payload)
	if err != nil {
		return refused("", err.Error())
	}
	if reg.Proof {
		return refused(adviceReveal,
			"the Tezos Baking app cannot read a reveal in the layout of protocol Seoul and later "+
				"(a byte for a proof behind the key)")
	}
	return nil
}

// checkMark refuses a request that the device's own mark surely refuses.
func checkMark(key sessionKey, req tezos.Request) error {
	mark := key.Marks.For(req.Chain)
	if !below(req, mark, key.last) {
		return nil
	}
	return refused(StatusWrongValues.verdict().hint, fmt.Sprintf(
		"the device's own water mark is at level %d, round %d: a %s at level %d, round %d is refused",
		mark.Level, mark.Round, req.Kind, req.Level, req.Round))
}

// below tells whether a mark surely forbids a request. At the mark itself a preattestation, and after it an
// attestation, may still be open, and the app does not show which. last is the kind signed last at the mark, if
// known.
func below(req tezos.Request, mark Watermark, last tezos.Kind) bool {
	order := cmp.Or(cmp.Compare(int64(req.Level), int64(mark.Level)), cmp.Compare(int64(req.Round), int64(mark.Round)))
	return order < 0 || order == 0 && (req.Kind == tezos.Block || last == tezos.Attestation || last == req.Kind)
}

// signed moves the session's copy of the device's own mark to the signature just made.
func (s *session) signed(key sessionKey, payload []byte) {
	req, err := tezos.Decode(key.Curve.Tezos(), payload)
	if err != nil {
		return // a registration: the device was read again
	}
	at := Watermark{Level: uint32(req.Level), Round: uint32(req.Round)} //nolint:gosec // never negative
	for i := range s.keys {
		if s.keys[i].pub == key.pub {
			s.keys[i].Marks.set(req.Chain, at)
			s.keys[i].last = req.Kind
		}
	}
}

func (m *Marks) set(chain tezos.ChainID, at Watermark) {
	if m.Chain == chain || m.Chain == (tezos.ChainID{}) {
		m.Main = at
	} else {
		m.Test = at
	}
}

func refused(hint, why string) error {
	return &device.Error{Health: device.Ready, Hint: hint, Err: fmt.Errorf("%w: %s", device.ErrRefused, why)}
}
