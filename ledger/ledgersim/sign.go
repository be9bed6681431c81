package ledgersim

import (
	"slices"

	"highwater/internal/tezos"
)

// sign is SIGN and SIGN_WITH_HASH: a packet that selects the key, and a packet with the message.
func (a *app) sign(c apdu) ([]byte, *prompt, error) {
	switch c.p1 {
	case 0x00, 0x80:
		a.packets = 0
		curve, err := a.curve(c.p2)
		if err != nil {
			return nil, nil, err
		}
		r := &reader{b: c.data}
		if err := a.selectPath(r); err != nil {
			return nil, nil, err
		}
		if len(r.b) != 0 {
			return nil, nil, refusal(swWrongLength)
		}
		a.selected.curve = curve
		return nil, nil, nil
	case 0x01, 0x81:
		return a.message(c)
	}
	return nil, nil, refusal(swWrongParam)
}

func (a *app) message(c apdu) ([]byte, *prompt, error) {
	if len(a.selected.path) == 0 {
		return nil, nil, refusal(swNotReady)
	}
	if a.packets != 0 {
		return nil, nil, refusal(swParse)
	}
	msg, err := a.parse(c.data)
	if err != nil {
		return nil, nil, err
	}
	if c.p1&0x80 == 0 {
		a.packets++
		return nil, nil, nil
	}
	if msg.op != nil && !msg.op.whole {
		return nil, nil, refusal(swParse)
	}
	return a.signParsed(c, msg)
}

// parse reads a message. For a manager operation parse derives the selected key, and compares.
func (a *app) parse(b []byte) (parsed, error) {
	if len(b) > 0 && b[0] == magicOperation {
		k, err := a.key(a.selected)
		if err != nil {
			return parsed{}, err
		}
		pub, err := publicKey(a.selected.curve, k)
		if err != nil {
			return parsed{}, err
		}
		last := tezos.P256
		if a.version.bls {
			last = tezos.BLS12381
		}
		op, ok := parseManager(b[1:], pub, last)
		if !ok {
			return parsed{}, refusal(swParse)
		}
		return parsed{op: op}, nil
	}
	msg, err := parseMessage(b)
	if err != nil {
		return parsed{}, refusal(swParse)
	}
	return msg, nil
}

// signParsed signs a whole message, if the key is authorised and the mark allows the message.
func (a *app) signParsed(c apdu, msg parsed) ([]byte, *prompt, error) {
	rec := a.authorized(a.selected)
	if rec < 0 {
		return nil, nil, refusal(swSecurity)
	}
	k, err := a.key(a.selected)
	if err != nil {
		return nil, nil, err
	}
	digest := tezos.Digest(c.data)
	signature := func() []byte {
		sig := k.sign(c.data, digest[:])
		if c.ins == 0x0f {
			return append(digest[:], sig...)
		}
		return sig
	}
	if msg.op != nil {
		return a.manager(rec, msg.op, k, signature)
	}
	if msg.chain == tezos.Mainnet && !a.mainnet {
		return nil, nil, refusal(swMainnet)
	}
	m := a.ram[rec].markOf(msg.chain)
	if !m.allows(msg.kind, msg.level, msg.round) {
		return nil, nil, refusal(swWrongValues)
	}
	// The mark is moved, and written, before the signature is made.
	m.signed(msg.kind, msg.level, msg.round)
	a.saveMark(rec, msg.chain)
	return signature(), nil, nil
}

// authorized is the index of the record with the key id, or -1.
func (a *app) authorized(id keyID) int {
	return slices.IndexFunc(a.ram, func(r record) bool { return len(r.key.path) > 0 && r.key.equal(id) })
}

// saveMark writes one mark to NVRAM, unless the HWM setting is off.
func (a *app) saveMark(rec int, chain tezos.ChainID) {
	if a.hwmOn {
		*a.nv[rec].markOf(chain) = *a.ram[rec].markOf(chain)
	}
}

// manager signs reveals without a prompt, and a self-delegation after a prompt.
func (a *app) manager(rec int, op *managerOp, k signKey, signature func() []byte) ([]byte, *prompt, error) {
	pub, err := publicKey(a.selected.curve, k)
	if err != nil {
		return nil, nil, err
	}
	if op.delegation && op.delegate != pub.Hash() {
		return nil, nil, refusal(swSecurity)
	}
	done := func() []byte {
		// The chain of an operation counts as 0, and so do its level and round.
		a.ram[rec].markOf(tezos.ChainID{}).signed(0, 0, 0)
		a.saveMark(rec, tezos.ChainID{})
		return signature()
	}
	if !op.delegation {
		return done(), nil, nil
	}
	return nil, a.ask("Register as delegate?", []string{pub.Hash().String(), xtz(op.fee)}, done), nil
}
