package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"highwater/test/failover/chain"
	"highwater/test/failover/judge"

	"highwater/internal/baker"
	"highwater/internal/tezos"
	"highwater/test/harness"
)

// again is how long a refused baker waits before the next attempt. octez-baker asks once. These bakers go on until the
// level is over, so that a side with the right to sign is noticed at once.
const again = 20 * time.Millisecond

// bakers are the bakers of one machine. They never stop asking, whatever the role of their instance, and ask for other
// bytes than the bakers of the peer: if both sides sign, the judge has two payloads.
type bakers struct {
	side  *side
	chain *chain.Chain
	tally *judge.Tally
	keys  []*tezos.PublicKey
	probe *tezos.PublicKey
	seed  uint64
	blind bool // without their node, the bakers know of no new level
}

// variant makes the payloads of a side its own.
func (b *bakers) variant() byte { return b.side.String()[0] }

// run lets each key's baker ask for everything at each level.
func (b *bakers) run(ctx context.Context) error {
	errs := make([]error, len(b.keys))
	var wg sync.WaitGroup
	for i, key := range b.keys {
		wg.Go(func() { errs[i] = b.bake(ctx, key, rand.New(rand.NewPCG(b.seed, uint64(i)))) }) //nolint:gosec // no secret
	}
	wg.Wait()
	return errors.Join(errs...)
}

// bake asks for preattestation and attestation of the head. Then, as if after a quorum, bake asks for the next block
// when the turn is the key's. (A Ledger has one mark for all kinds: a block signed first would cost the attestation.)
func (b *bakers) bake(ctx context.Context, key *tezos.PublicKey, r *rand.Rand) error {
	client := b.side.Client(false)
	defer client.Close()
	for ctx.Err() == nil {
		level, since, over := b.chain.Now()
		if b.sees() {
			if err := b.atLevel(ctx, client, key, r, level, since, over); err != nil {
				return err
			}
		}
		select {
		case <-over:
		case <-ctx.Done():
		}
	}
	return nil
}

// sees tells whether the bakers know of a new level. Bakers without need of a node always ask.
func (b *bakers) sees() bool { return !b.blind || !b.side.offline.Load() }

func (b *bakers) atLevel(
	ctx context.Context, client *baker.Client, key *tezos.PublicKey, r *rand.Rand, level int32, since time.Time,
	over <-chan struct{},
) error {
	open := []baker.Step{b.step(tezos.Preattestation, level), b.step(tezos.Attestation, level)}
	if r.IntN(4) == 0 { // also asks for an old level
		open = append(open, b.step(tezos.Attestation, level-1-r.Int32N(3)))
	}
	open, err := b.askAll(ctx, client, key, open, over, since.Add(b.chain.Interval/2))
	if err == nil && chain.Turn(b.keys, level+1) == key {
		open = append(open, b.step(tezos.Block, level+1))
	}
	if err == nil {
		_, err = b.askAll(ctx, client, key, open, over, since.Add(b.chain.Interval))
	}
	return err
}

// askAll asks until all is signed or the time is up, and gives the unsigned steps.
func (b *bakers) askAll(
	ctx context.Context, client *baker.Client, key *tezos.PublicKey, open []baker.Step, over <-chan struct{},
	until time.Time,
) ([]baker.Step, error) {
	enough := time.NewTimer(time.Until(until))
	defer enough.Stop()
	for {
		left := open[:0]
		for _, step := range open {
			ok, err := b.ask(ctx, client, key, step, false)
			if err != nil {
				return nil, err
			}
			if !ok {
				left = append(left, step)
			}
		}
		if open = left; len(open) == 0 {
			return nil, nil
		}
		select {
		case <-enough.C:
			return open, nil
		case <-over:
			return open, nil
		case <-ctx.Done():
			return open, nil
		case <-time.After(again):
		}
	}
}

func (b *bakers) step(kind tezos.Kind, level int32) baker.Step {
	return baker.Step{Chain: harness.Chain, Kind: kind, Level: level, Variant: b.variant()}
}

// measure asks all the time with a key of its own, for places that rise with the clock and are equal on both sides. The
// longest time without an answer is the gap.
func (b *bakers) measure(ctx context.Context, every time.Duration) error {
	client := b.side.Client(true)
	defer client.Close()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		level, since, _ := b.chain.Now()
		if !b.sees() {
			continue
		}
		step := b.step(tezos.Attestation, level)
		step.Round = int32(time.Since(since) / every) //nolint:gosec // a level lasts some seconds
		if _, err := b.ask(ctx, client, b.probe, step, true); err != nil {
			return err
		}
	}
}

// ask asks once, and records each signature. Only a wrong answer is an error.
func (b *bakers) ask(ctx context.Context, client *baker.Client, key *tezos.PublicKey, step baker.Step, only bool) (
	bool, error,
) {
	payload := step.Payload(key.Curve())
	sign := client.Sign
	if only {
		sign = client.SignOnly
	}
	asking, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	begin := time.Now()
	sig, err := sign(asking, key, payload)
	var refusal *baker.Refusal
	switch {
	case errors.As(err, &refusal):
		b.tally.Answered(b.side.String(), fmt.Sprintf("%d %s", refusal.Status, http.StatusText(refusal.Status)))
		return false, nil
	case err != nil && errors.Is(err, tezos.ErrBadSignature):
		return false, err
	case err != nil:
		b.tally.Answered(b.side.String(), "no answer")
		return false, nil
	}
	b.tally.Answered(b.side.String(), "signed")
	if err = b.tally.Note(b.side.index, key.Hash(), step, payload, sig, begin); err != nil || only ||
		b.side.offline.Load() {
		return true, err
	}
	return true, b.chain.Note(key.Hash(), payload, sig)
}
