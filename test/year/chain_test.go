package year

import (
	"math/rand/v2"
	"sync"
	"time"

	"highwater/hwm"
	"highwater/internal/baker"
	"highwater/internal/tezos"
	"highwater/signer/signertest"
)

// chain makes levels of 6 s, a few of them at a later round or reorganised.
type chain struct {
	random *rand.Rand
	fork   *rand.Rand // of reorganisations that ask for other bytes

	mu   sync.Mutex
	head hwm.Known
}

func newChain(seed uint64) *chain {
	c := &chain{random: rand.New(rand.NewPCG(seed, 1)), fork: rand.New(rand.NewPCG(seed, 3))}
	c.head = hwm.Known{Level: firstLevel - 1, At: time.Now(), Node: true}
	return c
}

// known is the head, for the rule against far levels.
func (c *chain) known() *hwm.Known {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.head
	return &h
}

func (c *chain) at(level int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.head = hwm.Known{Level: level, At: time.Now(), Node: true}
}

// ask is a request of the baker: its payload, when it comes after the beginning of its level, and when its answer is
// too late.
type ask struct {
	step        baker.Step
	after, last time.Duration
	again       bool // other bytes for a place that is asked for already
}

// level is the asks of a level and its length. One level in 40 goes to a second round, one in 400 to a third, and one
// in 500 is asked for again after a reorganisation: the same level, a later round, other bytes. One in 1000 meets a
// reorganisation with the same round: its attestation is asked for once more with other bytes, and must be refused.
func (c *chain) level(level int32) (asks []ask, length time.Duration) {
	rounds := int32(1)
	switch n := c.random.IntN(400); {
	case n == 0:
		rounds = 3
	case n <= 10:
		rounds = 2
	}
	if c.random.IntN(500) == 0 {
		rounds++
	}
	block := level%20 == 0
	for round := range rounds {
		begins := time.Duration(round)*blockTime + time.Duration(round)*time.Second
		length = begins + blockTime
		jitter := time.Duration(c.random.IntN(400)) * time.Millisecond
		step := func(kind tezos.Kind) baker.Step {
			return baker.Step{Chain: signertest.Chain, Kind: kind, Level: level, Round: round, Variant: byte(round)}
		}
		if block {
			asks = append(asks, ask{step: step(tezos.Block), after: begins, last: begins + 2*time.Second})
		}
		attestation := step(tezos.Attestation)
		asks = append(asks,
			ask{step: step(tezos.Preattestation), after: begins + 500*time.Millisecond + jitter, last: begins + 4*time.Second},
			ask{step: attestation, after: begins + 1500*time.Millisecond + jitter, last: begins + 5500*time.Millisecond})
		if round == 0 && c.fork.IntN(1000) == 0 {
			attestation.Variant = 99
			asks = append(asks, ask{attestation, begins + 4*time.Second, begins + 5500*time.Millisecond, true})
		}
	}
	return asks, length
}
