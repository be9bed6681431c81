package tezsign

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"highwater/internal/device"
	"highwater/internal/tezos"
	pb "highwater/tezsign/tezsignpb"
)

// KeyState is a gadget's report of one key.
type KeyState struct {
	Alias     string              `json:"alias"`
	PKH       tezos.PublicKeyHash `json:"pkh"`
	PublicKey *tezos.PublicKey    `json:"public_key"`
	Locked    bool                `json:"locked"`
	// Corrupted: the gadget could not read its own watermark of the key. The gadget shows a corrupted key as locked,
	// even an unlocked key, and refuses to sign with the key until the operator sets the key's level.
	Corrupted bool `json:"state_corrupted"`
	// Lost: both copies of the gadget's watermark are broken, and the key cannot even be unlocked. The host sets Lost
	// after a failed unlock.
	Lost bool `json:"state_lost,omitempty"`
	// Marks are the gadget's watermarks, one per kind; nil for a locked key: the gadget shows no marks of locked
	// keys.
	Marks []device.Mark `json:"marks,omitempty"`
	// Fault is the reason why an unlocked key cannot be used; empty: the key can be used.
	Fault string `json:"fault,omitempty"`

	proof string // base58 text, not verified yet
}

// Level is the highest level of the key's marks; -1 when the marks are unknown.
func (k KeyState) Level() int32 {
	high := int32(-1)
	for _, m := range k.Marks {
		high = max(high, m.Level)
	}
	return high
}

// Proof returns the reported proof of possession, verified.
func (k KeyState) Proof() (tezos.Signature, error) {
	if k.proof == "" {
		return tezos.Signature{}, fmt.Errorf("the gadget reports no proof of possession for %s", k.Alias)
	}
	sig, err := tezos.ParseSignature(k.proof)
	if err != nil {
		return tezos.Signature{}, fmt.Errorf("proof of possession of %s: %w", k.Alias, err)
	}
	if err := k.PublicKey.VerifyPossession(sig); err != nil {
		return tezos.Signature{}, fmt.Errorf("proof of possession of %s: %w", k.Alias, err)
	}
	return sig, nil
}

// usable is empty, or the reason why the key cannot sign now.
func (k KeyState) usable() string {
	switch {
	case k.Corrupted:
		return "corrupted: the gadget lost its watermark"
	case k.Lost:
		return "locked for good: " + lostState
	case k.Locked:
		return "locked: highwater tezsign unlock " + k.Alias
	default:
		return k.Fault
	}
}

// lostState is the advice for a key without any watermark, which neither unlock nor set-level can mend.
const lostState = "both copies of the gadget's watermark are broken: do not delete the key, " +
	"see \"Both copies gone\" in docs/tezsign.md"

// keyCache parses each public key once: decompressing and checking a point takes a millisecond.
type keyCache struct {
	mu   sync.Mutex
	keys map[string]*tezos.PublicKey
}

// cacheLimit bounds the cache; a gadget's answer has room for some 200 keys.
const cacheLimit = 1024

func (c *keyCache) parse(text string) (*tezos.PublicKey, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k, ok := c.keys[text]; ok {
		return k, nil
	}
	k, err := tezos.ParsePublicKey(text)
	if err != nil {
		return nil, err
	}
	if c.keys == nil || len(c.keys) >= cacheLimit {
		c.keys = map[string]*tezos.PublicKey{}
	}
	c.keys[text] = k
	return k, nil
}

// readStatus checks a status answer. An inconsistency is an error: a gadget that mixes up its keys must not be used.
func readStatus(st *pb.Status, cache *keyCache) ([]KeyState, error) {
	out := make([]KeyState, 0, len(st.GetKeys()))
	seen := map[string]bool{}
	for _, k := range st.GetKeys() {
		state, err := readKey(k, cache)
		if err != nil {
			return nil, fmt.Errorf("%w: key %q: %w", ErrAnswer, printable(k.GetKeyId()), err)
		}
		if seen[state.Alias] || seen[state.PKH.String()] {
			return nil, fmt.Errorf("%w: key %q appears twice", ErrAnswer, state.Alias)
		}
		seen[state.Alias], seen[state.PKH.String()] = true, true
		out = append(out, state)
	}
	return out, nil
}

func readKey(k *pb.KeyStatus, cache *keyCache) (KeyState, error) {
	alias := k.GetKeyId()
	if alias == "" || alias != printable(alias) {
		return KeyState{}, errors.New("the alias cannot be shown")
	}
	pub, err := cache.parse(k.GetBlPubkey())
	if err != nil {
		return KeyState{}, err
	}
	if pub.Curve() != tezos.BLS12381 || pub.Hash().String() != k.GetTz4() {
		return KeyState{}, fmt.Errorf("the public key belongs to %s, not to %s", pub.Hash(), printable(k.GetTz4()))
	}
	state := KeyState{
		Alias: alias, PKH: pub.Hash(), PublicKey: pub, proof: k.GetPop(),
		// a key that is not surely unlocked is locked
		Locked:    k.GetLockState() != pb.LockState_LOCK_STATE_UNLOCKED,
		Corrupted: k.GetStateCorrupted(),
	}
	if !state.Locked && !state.Corrupted {
		state.Marks, state.Fault = readMarks(pub.Hash(), k)
	}
	return state, nil
}

// readMarks reads the levels, 64 bits wide on the wire, and the rounds, 32 bits wide. A mark beyond every level of a
// chain is a fault: the gadget would refuse every request, and the host must not take over the mark.
func readMarks(pkh tezos.PublicKeyHash, k *pb.KeyStatus) (marks []device.Mark, fault string) {
	for _, m := range []struct {
		kind  tezos.Kind
		level uint64
		round uint32
	}{
		{tezos.Block, k.GetBlockLevel(), k.GetBlockRound()},
		{tezos.Preattestation, k.GetPreattestationLevel(), k.GetPreattestationRound()},
		{tezos.Attestation, k.GetAttestationLevel(), k.GetAttestationRound()},
	} {
		if m.level > math.MaxInt32 || m.round > math.MaxInt32 {
			return nil, fmt.Sprintf("the gadget's own %s mark, %d/%d, is beyond every level: the key cannot sign any more",
				m.kind, m.level, m.round)
		}
		marks = append(marks, device.Mark{PKH: pkh, Kind: m.kind, Level: int32(m.level), Round: int32(m.round)})
	}
	return marks, ""
}
