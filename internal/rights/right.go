// Package rights follows the rights of our keys: the coming rights, and the outcomes on chain of the past ones.
package rights

import (
	"fmt"
	"time"

	"highwater/internal/chain"
	"highwater/internal/tezos"
)

// Right is the right of a key to make a block at a level and round, or to attest a level.
type Right struct {
	PKH   tezos.PublicKeyHash
	Kind  tezos.Kind // Block or Attestation; a preattestation leaves no trace on chain
	Level int32
	Round int32 // of a block; an attestation is for whatever round the chain reaches
	// At is the time of the block of the level: an estimate for a coming level, as if every level took one round. A
	// block that is not there yet may take more rounds.
	At time.Time
}

// Outcome is the end of a past right on chain.
type Outcome uint8

// Outcomes of a right.
const (
	Unknown   Outcome = iota // the node does not have the block, or gave an unusable answer
	Included                 // the block or the attestation of the key is on chain
	Missed                   // the key had the right, and the chain shows nothing of the key
	NotNeeded                // a block of an earlier round was agreed on
)

var outcomes = [...]string{"unknown", "included", "missed", "not needed"}

func (o Outcome) String() string { return outcomes[o] }

// MarshalText gives the word.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads the word.
func (o *Outcome) UnmarshalText(text []byte) error {
	for i, word := range outcomes {
		if word == string(text) {
			*o = Outcome(i)
			return nil
		}
	}
	return fmt.Errorf("%.40q is no outcome of a right", text)
}

// Past is a right whose level is final, with its outcome.
type Past struct {
	Right
	Outcome Outcome
	// Chain is the round of the block on chain at the level; negative where the outcome is unknown.
	Chain int32
}

// Depth is the number of blocks on top of a block before the block counts. Tenderbake: two blocks on top make a block
// final (octez.tezos.com/docs/active/consensus.html); two more cost seconds, and spare an alarm for a fork.
const Depth = 4

// Late is the delay between a block and the request for its attestation from which on the request is late: half of the
// shortest time of a level, as the next baker collects the attestations.
const Late = 3 * time.Second

// settledBy is the level of the head that makes the rights of a level final: attestations of a level are in the next
// block, and in no later one (Octez, Baking.attesting_rights: "the right to include an attestation in the next block").
func settledBy(level int32) int32 { return level + 1 + Depth }

// Judge gives the outcome of a right, from the final block of its level and the block after. Only an attestation needs
// the block after.
func Judge(r Right, of, after chain.Block) Past {
	p := Past{Right: r, Outcome: Missed, Chain: of.Round}
	p.At = of.Timestamp
	if r.Kind == tezos.Attestation {
		if after.Attests(r.PKH, r.Level) {
			p.Outcome = Included
		}
		return p
	}
	baker, proposer := of.Makers.Baker, of.Makers.Proposer
	switch {
	case baker.Key == r.PKH && of.Round == r.Round:
		p.Outcome = Included
	case of.Round < r.Round:
		p.Outcome = NotNeeded
	case proposer.Key == r.PKH && of.Round > r.Round:
		// The payload was agreed on at the key's round, and the block was proposed again by a later baker.
		p.Outcome = Included
	}
	return p
}
