package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"highwater/internal/baker"
	"highwater/internal/tezos"
	"highwater/test/harness"
)

// handovers is the number of moves of the right to sign, there and back.
const handovers = 8

const peerConfig = `[peer]
listen = %q
`

// measureHandover moves the right to sign between two instances, there and back. Meanwhile a baker asks one instance
// for level after level, and the peer after a refusal. A gap is the time between the last answer of one instance and
// the first answer of its peer. Each level is asked for until signed, so only a gap longer than a block misses a level.
func (p plan) measureHandover(ctx context.Context) (gaps []time.Duration, err error) {
	pair, stop, err := p.startPair(ctx)
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return nil, err
	}
	for i := range handovers {
		from, to := pair[i%2], pair[(i+1)%2]
		gap, err := moveUnderLoad(ctx, from, to)
		if err != nil {
			return nil, err
		}
		gaps = append(gaps, gap)
	}
	return gaps, nil
}

// startPair starts two paired instances with the same key; the first instance signs.
func (p plan) startPair(ctx context.Context) (pair [2]*daemon, stop func() error, err error) {
	stop = func() (stopped error) {
		for _, d := range pair {
			if d != nil && d.process != nil {
				stopped = errors.Join(stopped, d.Stop())
			}
		}
		return stopped
	}
	var address, instance [2]string
	for i := range pair {
		if address[i], err = harness.FreeAddress(ctx); err != nil {
			return pair, stop, err
		}
		if pair[i], err = p.newDaemon(ctx, emulated(1, 0)+fmt.Sprintf(peerConfig, address[i]), 1, false); err != nil {
			return pair, stop, err
		}
		if instance[i], err = pair[i].instance(ctx); err != nil {
			return pair, stop, err
		}
	}
	for i, d := range pair {
		if _, err = d.Command(ctx, "peer", "add", address[1-i], instance[1-i]); err != nil {
			return pair, stop, err
		}
	}
	for _, d := range pair {
		up := func(ctx context.Context) error { _, upErr := d.AwaitUp(ctx); return upErr }
		if err = d.startUntil(ctx, up); err != nil {
			return pair, stop, err
		}
	}
	return pair, stop, pair[0].activate(ctx)
}

// instance is the instance key, for the peer.
func (d *daemon) instance(ctx context.Context) (string, error) {
	out, err := d.Command(ctx, "peer", "show", "--json")
	if err != nil {
		return "", err
	}
	var v struct {
		Instance string `json:"instance"`
	}
	err = json.Unmarshal(out, &v)
	return v.Instance, err
}

// patience bounds a move.
const patience = 20 * time.Second

func moveUnderLoad(ctx context.Context, from, to *daemon) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	moved := make(chan error, 1)
	clients := [2]*baker.Client{baker.New(from.base, true), baker.New(to.base, true)}
	defer clients[0].Close()
	defer clients[1].Close()
	// Both sides have the same devices and keys. The level goes on from the other side.
	key := from.keys[0]
	begun, side, last := false, 0, time.Time{}
	for {
		step := baker.Step{Chain: benchChain, Kind: tezos.Attestation, Level: key.level.Load() + 1}
		_, err := clients[side].SignOnly(ctx, key.public, step.Payload(tezos.Ed25519))
		var refusal *baker.Refusal
		switch {
		case err == nil && side == 1:
			gap := time.Since(last)
			to.keys[0].level.Store(key.level.Add(1))
			return gap, <-moved
		case err == nil:
			last = time.Now()
			key.level.Add(1)
		case errors.As(err, &refusal) && begun:
			side = 1 - side
		default:
			return 0, err
		}
		if !begun && err == nil {
			begun = true
			go func() {
				_, err := to.Command(ctx, "handover", "--yes", "--now")
				moved <- err
			}()
		}
	}
}
