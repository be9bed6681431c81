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

	mu   sync.Mutex
	head hwm.Known
}

func newChain(seed uint64) *chain {
	c := &chain{random: rand.New(rand.NewPCG(seed, 1))}
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
}

// level is the asks of a level and its length. One level in 40 goes to a second round, one in 400 to a third, and one
// in 500 is asked for again after a reorganisation: the same level, a later round, other bytes.
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
			asks = append(asks, ask{step(tezos.Block), begins, begins + 2*time.Second})
		}
		asks = append(asks,
			ask{step(tezos.Preattestation), begins + 500*time.Millisecond + jitter, begins + 4*time.Second},
			ask{step(tezos.Attestation), begins + 1500*time.Millisecond + jitter, begins + 5500*time.Millisecond})
	}
	return asks, length
}
