package guard

import (
	"slices"
	"sync"

	"highwater/hwm"
	"highwater/signer"
)

// MemorySize is how many places are remembered for each key and kind: more than six minutes of levels at 6 s, in a
// chain that is final after two blocks.
const MemorySize = 64

// Memory holds the latest signatures, and possible signatures, of this process. Memory is safe for concurrent use, and
// must hear every outcome (signer.Config.Observe) before the signature leaves: the signer tells at this time.
type Memory struct {
	mu   sync.Mutex
	keys map[hwm.Key]*recent
}

// recent is a key and kind's share of the memory.
type recent struct {
	places    []place
	forgotten *hwm.Position // the highest place that had to go; nil: none
}

type place struct {
	hwm.Position
	digest [32]byte
}

// NewMemory remembers nothing yet.
func NewMemory() *Memory { return &Memory{keys: map[hwm.Key]*recent{}} }

// Observe takes an outcome down. A refusal never reached a device, nor did a request that the device would have
// refused: no mark moved, and the peer may rightly sign different bytes at the place. Any other failure may have
// reached a device: its bytes are taken for ours, since the answer of a device can come after the end of the request,
// and be asked for again.
func (m *Memory) Observe(o signer.Outcome) {
	if o.Kind == 0 || o.Decision == "refused" || o.Spared {
		return
	}
	m.Note(hwm.Key{Chain: o.Chain, PKH: o.PKH, Kind: o.Kind}, hwm.Position{Level: o.Level, Round: o.Round}, o.Digest)
}

// Note remembers bytes, by digest, that were or may have been signed at a place.
func (m *Memory) Note(key hwm.Key, at hwm.Position, digest [32]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.keys[key]
	if r == nil {
		r = &recent{}
		m.keys[key] = r
	}
	p := place{at, digest}
	if slices.Contains(r.places, p) {
		return
	}
	r.places = append(r.places, p)
	if len(r.places) <= MemorySize {
		return
	}
	lowest := 0
	for i := range r.places {
		if r.places[i].Compare(r.places[lowest].Position) < 0 {
			lowest = i
		}
	}
	gone := r.places[lowest].Position
	if r.forgotten == nil || gone.Compare(*r.forgotten) > 0 {
		r.forgotten = &gone
	}
	r.places = slices.Delete(r.places, lowest, lowest+1)
}

// recall gives the remembered digests of a place. Complete: every digest ever noted at the place is still remembered.
func (m *Memory) recall(key hwm.Key, at hwm.Position) (digests [][32]byte, complete bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.keys[key]
	if r == nil {
		return nil, true
	}
	for _, p := range r.places {
		if p.Position == at {
			digests = append(digests, p.digest)
		}
	}
	return digests, r.forgotten == nil || at.Compare(*r.forgotten) > 0
}
