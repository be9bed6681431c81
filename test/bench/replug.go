package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"highwater/internal/baker"
	"highwater/internal/tezos"
	"highwater/ledger"
	"highwater/ledger/ledgersim"
	"highwater/test/harness"
)

// How often the device is unplugged, and for how long.
const (
	replugs = 8
	absence = 400 * time.Millisecond
)

const tcpDevice = `[[device]]
name = "ledger"
kind = "ledger"
transport = "tcp://%s"
`

// measureReplug measures how long a request that waited for an absent device goes on waiting after the device's return.
// The device is an emulated Ledger on an APDU socket; a return is a new listener.
func (p plan) measureReplug(ctx context.Context) (times []time.Duration, err error) {
	sim, err := ledgersim.New(ledgersim.Options{
		Seed: "the benchmark's device with a cable", Decide: ledgersim.Always(ledgersim.Accept),
		Setup: []ledgersim.Setup{{Curve: ledger.Ed25519, Chain: benchChain}},
	})
	if err != nil {
		return nil, err
	}
	address, err := harness.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	unplug, err := plug(ctx, sim, address)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unplug()) }()
	d, err := p.newDaemon(ctx, fmt.Sprintf(tcpDevice, address), 1, false)
	if err != nil {
		return nil, err
	}
	if err = d.activate(ctx); err != nil {
		return nil, err
	}
	if err = d.start(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Stop()) }()
	client := baker.New(d.base, true)
	defer client.Close()
	for range replugs {
		if err = signNext(ctx, client, d.keys[0]); err != nil {
			return nil, err
		}
		if err = unplug(); err != nil {
			return nil, err
		}
		answered := make(chan error, 1)
		go func() { answered <- signNext(ctx, client, d.keys[0]) }()
		select {
		case err = <-answered:
			return nil, fmt.Errorf("a request was answered while the device was away: %w", err)
		case <-time.After(absence):
		}
		back := time.Now()
		if unplug, err = plug(ctx, sim, address); err != nil {
			return nil, err
		}
		if err = <-answered; err != nil {
			return nil, err
		}
		times = append(times, time.Since(back))
	}
	return times, nil
}

// plug serves the device at an address until unplug.
func plug(ctx context.Context, sim *ledgersim.Device, address string) (unplug func() error, err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- ledgersim.ServeTCP(ctx, l, sim); close(ended) }()
	return func() error { cancel(); return <-ended }, nil
}

// signNext asks for the key's next level.
func signNext(ctx context.Context, client *baker.Client, key contenderKey) error {
	step := baker.Step{Chain: benchChain, Kind: tezos.Attestation, Level: key.level.Add(1)}
	_, err := client.SignOnly(ctx, key.public, step.Payload(tezos.Ed25519))
	return err
}
