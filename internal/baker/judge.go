package baker

import (
	"fmt"
	"sync"

	"highwater/internal/tezos"
)

// place is a point of a chain at which a key may sign once.
type place struct {
	pkh          tezos.PublicKeyHash
	chain        tezos.ChainID
	kind         tezos.Kind
	level, round int32
}

// Judge keeps every signature ever made, and finds slashable pairs: two different payloads for one key, kind, level
// and round. A Judge knows nothing of watermarks. A Judge is safe for concurrent use.
type Judge struct {
	mu      sync.Mutex
	signed  map[place]verdict
	doubles []string
}

type verdict struct {
	digest [32]byte
	sig    string
}

// NewJudge starts with nothing signed.
func NewJudge() *Judge { return &Judge{signed: map[place]verdict{}} }

// Note takes down a released signature. isNew tells a first signature from a repeated signature.
func (j *Judge) Note(pkh tezos.PublicKeyHash, payload []byte, sig tezos.Signature) (isNew bool, err error) {
	req, err := tezos.Decode(pkh.Curve, payload)
	if err != nil {
		return false, fmt.Errorf("the signed bytes are no consensus payload: %w", err)
	}
	at := place{pkh, req.Chain, req.Kind, req.Level, req.Round}
	j.mu.Lock()
	defer j.mu.Unlock()
	before, ok := j.signed[at]
	if !ok {
		j.signed[at] = verdict{req.Digest, sig.String()}
		return true, nil
	}
	switch {
	case before.digest != req.Digest:
		j.doubles = append(j.doubles, fmt.Sprintf("%s: two payloads for %s at level %d round %d",
			pkh, req.Kind, req.Level, req.Round))
	case before.sig != sig.String():
		j.doubles = append(j.doubles, fmt.Sprintf("%s: two signatures of a single %s at level %d round %d",
			pkh, req.Kind, req.Level, req.Round))
	}
	return false, nil
}

// Doubles lists the slashable pairs; a right signer leaves the list empty.
func (j *Judge) Doubles() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]string{}, j.doubles...)
}

// Signed counts the signed places.
func (j *Judge) Signed() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.signed)
}
