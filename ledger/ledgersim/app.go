package ledgersim

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"highwater/internal/tezos"
	"highwater/ledger"
)

// keyID is a curve and a path.
type keyID struct {
	curve ledger.Curve
	path  ledger.Path
}

func (k keyID) equal(o keyID) bool { return k.curve == o.curve && slices.Equal(k.path, o.path) }

func (k keyID) clone() keyID { return keyID{k.curve, slices.Clone(k.path)} }

// app is the application: a pure state machine, an APDU in, an answer or a prompt out.
type app struct {
	version  Version
	wallet   wallet
	hwmOn    bool // the setting "High Watermark": every signature's mark goes to NVRAM at once
	pinValid bool // for the app's own check, where the system does not check
	mainnet  bool // sign for the mainnet

	// nv and ram begin with the app's record. Records of further authorised keys follow: the real app has only the
	// first record.
	nv, ram []record

	selected keyID // sticky: survives errors and signatures
	packets  byte  // packets of the message so far; other instructions leave rubbish here

	// last is the key derived last: without last, an emulator under load would spend its time on deriving. A real
	// device derives each time.
	last struct {
		id  keyID
		key signKey
	}
}

// prompt is an open question to the user. resolve ends the prompt and returns the answer.
type prompt struct {
	Prompt
	resolve func(accept bool) []byte
}

// apdu is a command with the right lengths.
type apdu struct {
	cla, ins, p1, p2 byte
	data             []byte
}

var errLength = errors.New("wrong length")

// parseAPDU checks the lengths: a header of 4 bytes and, in a longer command, a count that fits the data.
func parseAPDU(b []byte) (apdu, error) {
	if len(b) < 4 {
		return apdu{}, errLength
	}
	a := apdu{cla: b[0], ins: b[1], p1: b[2], p2: b[3]}
	if len(b) > 4 {
		if int(b[4]) != len(b)-5 {
			return apdu{}, errLength
		}
		a.data = b[5:]
	}
	return a, nil
}

// refusal is a status word as an error.
type refusal status

func (r refusal) Error() string { return fmt.Sprintf("status %04x", uint16(r)) }

// start loads the RAM copy, as when the app is opened.
func (a *app) start() {
	a.ram = slices.Clone(a.nv)
	a.selected, a.packets = keyID{}, 0
}

// save writes the whole record to NVRAM.
func (a *app) save() { a.nv = slices.Clone(a.ram) }

// handle answers an APDU, or returns the prompt whose end will bring the answer.
func (a *app) handle(b []byte) ([]byte, *prompt) {
	cmd, err := parseAPDU(b)
	if err != nil {
		return answer(swWrongLength), nil
	}
	out, p, err := a.dispatch(cmd)
	if err != nil {
		a.packets = 0 // any error clears the state
		var r refusal
		if !errors.As(err, &r) {
			r = refusal(swCrypto)
		}
		return answer(status(r)), nil
	}
	if p != nil {
		return nil, p
	}
	return answer(swOK, out), nil
}

func (a *app) dispatch(c apdu) ([]byte, *prompt, error) {
	if len(c.data) > maxData {
		return nil, nil, refusal(swNotReady)
	}
	if c.cla != 0x80 {
		return nil, nil, refusal(swNoClass)
	}
	switch c.ins {
	case 0x00, 0x07, 0x08, 0x09, 0x0b, 0x0c, 0x0d:
		out, err := a.simple(c)
		return out, nil, err
	case 0x01, 0x02, 0x03, 0x04, 0x0a, 0x0f:
		if !a.pinValid {
			return nil, nil, refusal(swSecurity)
		}
	}
	switch c.ins {
	case 0x01:
		return a.authorize(c)
	case 0x02, 0x03:
		return a.publicKey(c)
	case 0x04, 0x0f:
		return a.sign(c)
	case 0x06:
		return a.reset(c)
	case 0x0a:
		return a.setup(c)
	case 0x0e:
		out, err := a.hmac(c)
		return out, nil, err
	}
	return nil, nil, refusal(swNoIns)
}

// simple are the instructions without data.
func (a *app) simple(c apdu) ([]byte, error) {
	if c.p1 != 0 || c.p2 != 0 {
		return nil, refusal(swWrongParam)
	}
	if len(c.data) != 0 {
		return nil, refusal(swWrongValues)
	}
	r := &a.ram[0]
	switch c.ins {
	case 0x00:
		return append([]byte{1}, a.version.number[:]...), nil
	case 0x07:
		return r.key.path.Bytes(), nil
	case 0x08:
		return append(be32(r.main.level), be32(r.main.round)...), nil
	case 0x09:
		return append([]byte(a.version.git), 0), nil
	case 0x0b:
		return slices.Concat(be32(r.main.level), be32(r.main.round), be32(r.test.level), be32(r.test.round), r.chain[:]), nil
	case 0x0c:
		r.key = keyID{}
		a.saveKey()
		return nil, nil
	default: // 0x0d
		if len(r.key.path) == 0 && !a.version.bls {
			return nil, refusal(swNoKey)
		}
		return append([]byte{byte(r.key.curve)}, r.key.path.Bytes()...), nil
	}
}

// saveKey writes the authorised key to NVRAM, unless the HWM setting is off.
func (a *app) saveKey() {
	if a.hwmOn {
		a.nv[0].key = a.ram[0].key
	}
}

// curve reads P2.
func (a *app) curve(p2 byte) (ledger.Curve, error) {
	if p2 > byte(ledger.BIP25519) && (p2 != byte(ledger.BLS12381) || !a.version.bls) {
		return 0, refusal(swWrongParam)
	}
	return ledger.Curve(p2), nil
}

// selectKey reads a path and a curve into the selected key.
func (a *app) selectKey(curve ledger.Curve, r *reader) error {
	if err := a.selectPath(r); err != nil {
		return err
	}
	a.selected.curve = curve
	return nil
}

// selectPath reads a path over the selected path. The count is taken before it is checked: 0 leaves no key selected,
// and more than MaxPath leaves a key without an owner. A path that is cut short overwrites the components in place.
func (a *app) selectPath(r *reader) error {
	path := make(ledger.Path, r.u8())
	copy(path, a.selected.path)
	a.selected.path = path
	if len(path) == 0 || len(path) > ledger.MaxPath {
		return refusal(swWrongValues)
	}
	for i := range path {
		c := r.u32()
		if r.failed {
			return refusal(swWrongValues)
		}
		path[i] = c
	}
	return nil
}

func (a *app) key(id keyID) (signKey, error) {
	if a.last.key != nil && a.last.id.equal(id) {
		return a.last.key, nil
	}
	k, err := a.wallet.derive(id.curve, id.path)
	if err == nil {
		a.last.id, a.last.key = keyID{id.curve, slices.Clone(id.path)}, k
	}
	return k, err
}

// pubAnswer is the answer with a public key.
func pubAnswer(k signKey) []byte {
	w := k.point()
	return append([]byte{byte(len(w) & 0xff)}, w...)
}

func address(id keyID, k signKey) string {
	pub, err := publicKey(id.curve, k)
	if err != nil {
		return "?"
	}
	return pub.Hash().String()
}

// ask makes a prompt; a rejection clears the state like any error.
func (a *app) ask(title string, lines []string, accepted func() []byte) *prompt {
	return &prompt{Prompt: Prompt{Title: title, Lines: lines}, resolve: func(accept bool) []byte {
		if !accept {
			a.packets = 0
			return answer(swRejected)
		}
		return answer(swOK, accepted())
	}}
}

// publicKey is GET_PUBLIC_KEY, and PROMPT_PUBLIC_KEY.
func (a *app) publicKey(c apdu) ([]byte, *prompt, error) {
	if c.p1 != 0 {
		return nil, nil, refusal(swWrongParam)
	}
	k, err := a.readKey(c)
	if err != nil {
		return nil, nil, err
	}
	if c.ins == 0x02 {
		return pubAnswer(k), nil, nil
	}
	return nil, a.ask("Provide Public Key", []string{address(a.selected, k)}, func() []byte { return pubAnswer(k) }), nil
}

// readKey derives the key named by a whole data field, and selects the key.
func (a *app) readKey(c apdu) (signKey, error) {
	curve, err := a.curve(c.p2)
	if err != nil {
		return nil, err
	}
	r := &reader{b: c.data}
	if err := a.selectKey(curve, r); err != nil {
		return nil, err
	}
	if len(r.b) != 0 {
		return nil, refusal(swWrongLength)
	}
	return a.key(a.selected)
}

func (a *app) authorize(c apdu) ([]byte, *prompt, error) {
	if c.p1 != 0 {
		return nil, nil, refusal(swWrongParam)
	}
	if _, err := a.curve(c.p2); err != nil {
		return nil, nil, err
	}
	var k signKey
	var err error
	if len(c.data) == 0 {
		if len(a.ram[0].key.path) == 0 {
			return nil, nil, refusal(swWrongValues)
		}
		a.selected = a.ram[0].key.clone()
		k, err = a.key(a.selected)
	} else {
		k, err = a.readKey(c)
	}
	if err != nil {
		return nil, nil, err
	}
	id := a.selected.clone()
	return nil, a.ask("Authorize Baking With Public Key?", []string{address(id, k)}, func() []byte {
		a.ram[0].key = id
		a.saveKey()
		return pubAnswer(k)
	}), nil
}

func (a *app) reset(c apdu) ([]byte, *prompt, error) {
	if c.p1 != 0 || c.p2 != 0 {
		return nil, nil, refusal(swWrongParam)
	}
	r := &reader{b: c.data}
	level := r.u32()
	switch {
	case r.failed:
		return nil, nil, refusal(swWrongValues)
	case len(r.b) != 0:
		return nil, nil, refusal(swWrongLength)
	case level&hwmLevelFlags != 0:
		return nil, nil, refusal(swWrongValues)
	}
	a.packets = byte(level & 0xff) // the pending level lies where the packet counter is
	return nil, a.ask("Reset HWM", []string{fmt.Sprint(level)}, func() []byte {
		for i := range a.ram {
			a.ram[i].main.reset(level)
			a.ram[i].test.reset(level)
		}
		a.save()
		return nil
	}), nil
}

func (a *app) setup(c apdu) ([]byte, *prompt, error) {
	if c.p1 != 0 {
		return nil, nil, refusal(swWrongParam)
	}
	curve, err := a.curve(c.p2)
	if err != nil {
		return nil, nil, err
	}
	r := &reader{b: c.data}
	rec := record{chain: tezos.ChainID(r.take(4)), main: mark{level: r.u32()}, test: mark{level: r.u32()}}
	if r.failed {
		return nil, nil, refusal(swWrongValues)
	}
	if err = a.selectKey(curve, r); err != nil {
		return nil, nil, err
	}
	if len(r.b) != 0 {
		return nil, nil, refusal(swWrongLength)
	}
	k, err := a.key(a.selected)
	if err != nil {
		return nil, nil, err
	}
	if rec.chain == tezos.Mainnet && !a.mainnet {
		return nil, nil, refusal(swMainnet)
	}
	rec.key = a.selected.clone()
	a.packets = 1
	lines := []string{address(rec.key, k), chainName(rec.chain), fmt.Sprint(rec.main.level), fmt.Sprint(rec.test.level)}
	return nil, a.ask("Setup Baking?", lines, func() []byte {
		a.ram[0] = rec
		a.save()
		return pubAnswer(k)
	}), nil
}

func chainName(c tezos.ChainID) string {
	switch c {
	case tezos.ChainID{}:
		return "any"
	case tezos.Mainnet:
		return "mainnet"
	}
	return c.String()
}

// hmacLabel is the constant from whose signature the HMAC instruction makes its key.
var hmacLabel = must(hex.DecodeString("6c4e7e706c54d367c87a8d89c16adfe06cb5680cb7d18e625a90475ec0dbdb9f"))

func (a *app) hmac(c apdu) ([]byte, error) {
	if c.p1 != 0 {
		return nil, refusal(swWrongParam)
	}
	curve, err := a.curve(c.p2)
	if err != nil {
		return nil, err
	}
	saved := a.selected.clone()
	r := &reader{b: c.data}
	err = a.selectKey(curve, r)
	id := a.selected
	a.selected = saved
	if err != nil {
		return nil, err
	}
	k, err := a.key(id)
	if err != nil {
		return nil, err
	}
	a.packets = 1
	secret := sha512.Sum512(k.sign(hmacLabel, hmacLabel))
	mac := hmac.New(sha256.New, secret[:])
	mac.Write(r.b)
	return mac.Sum(nil), nil
}

// sdk answers the commands of class B0, before the app sees them.
func sdk(b []byte, name, version string) (out []byte, quit, ok bool) {
	if len(b) < 4 || b[0] != 0xb0 || binary.BigEndian.Uint16(b[2:]) != 0 {
		return nil, false, false
	}
	switch b[1] {
	case 0x01:
		data := []byte{1, byte(len(name) & 0xff)}
		data = append(append(data, name...), byte(len(version)&0xff))
		return answer(swOK, append(data, version...), []byte{1, 0}), false, true
	case 0xa7:
		return answer(swOK), true, true
	}
	return nil, false, false
}
