package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"highwater/internal/baker"
	"highwater/internal/tezos"
	"highwater/test/harness"
)

// again is how long a refused baker waits before the next attempt.
const again = 50 * time.Millisecond

// probeEvery is the time between two requests to each machine for the key that measures gaps.
const probeEvery = 25 * time.Millisecond

// bake asks for everything at each level, in every role of the instance. The bytes differ from machine to machine:
// if two machines sign, the judge has two payloads for the same place.
func (w *world) bake(ctx context.Context, m *machine) {
	var all sync.WaitGroup
	for _, key := range w.keys {
		all.Go(func() { w.attest(ctx, m, key) })
	}
	all.Go(func() { w.measure(ctx, m) })
	all.Wait()
}

func (w *world) attest(ctx context.Context, m *machine, key *tezos.PublicKey) {
	client := m.Client(false)
	defer client.Close()
	for ctx.Err() == nil {
		level, over := w.now()
		open := []tezos.Kind{tezos.Preattestation, tezos.Attestation}
		for ended := false; !ended; {
			if len(open) > 0 && w.ask(ctx, client, key,
				baker.Step{Chain: harness.Chain, Kind: open[0], Level: level, Variant: m.variant()}) {
				open = open[1:]
				continue
			}
			select {
			case <-over:
				ended = true
			case <-ctx.Done():
				return
			case <-time.After(again):
			}
		}
	}
}

func (m *machine) variant() byte { return "abc"[m.index] }

// measure asks all the time, for places that rise with the clock and are equal on all machines.
func (w *world) measure(ctx context.Context, m *machine) {
	client := m.Client(true)
	defer client.Close()
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	last, since := int32(0), time.Now()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		level, _ := w.now()
		if level != last {
			last, since = level, time.Now()
		}
		step := baker.Step{Chain: harness.Chain, Kind: tezos.Attestation, Level: level, Variant: m.variant()}
		step.Round = int32(time.Since(since) / probeEvery) //nolint:gosec // a level lasts some seconds
		w.ask(ctx, client, w.probe, step)
	}
}

// ask asks once, and records the answer.
func (w *world) ask(ctx context.Context, client *baker.Client, key *tezos.PublicKey, step baker.Step) bool {
	payload := step.Payload(key.Curve())
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	sig, err := client.SignOnly(ctx, key, payload)
	if err != nil {
		if errors.Is(err, tezos.ErrBadSignature) {
			w.fail(err)
		}
		return false
	}
	if _, err = w.judge.Note(key.Hash(), payload, sig); err != nil {
		w.fail(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if key == w.probe {
		w.probed = append(w.probed, time.Now())
	} else {
		w.done[place{key.Hash(), step.Kind, step.Level}] = time.Now()
	}
	return true
}

// missed counts the levels of a range without an attestation of some key.
func (w *world) missed(from, to int32) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for level := from; level <= to; level++ {
		for _, key := range w.keys {
			if _, ok := w.done[place{key.Hash(), tezos.Attestation, level}]; !ok {
				n++
				break
			}
		}
	}
	return n
}

// gap is the longest time without a signature of the probe since a moment.
func (w *world) gap(since time.Time) (longest time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := since
	for _, at := range w.probed {
		if at.After(since) {
			longest, last = max(longest, at.Sub(last)), at
		}
	}
	return max(longest, time.Since(last))
}
