package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"highwater/internal/baker"
	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/ledger"
	"highwater/ledger/ledgersim"
)

// deviceAlone measures an emulated Ledger's time for a signature, driver included, without load: the lower bound of
// every signer. Timers overshoot, and so does the device's timer.
func deviceAlone(ctx context.Context, latency time.Duration, rounds int) ([]time.Duration, error) {
	d, err := newDevice("a device alone", latency)
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); d.Run(running) }()
	defer func() { stop(); <-ended }()
	if err := waitDevice(ctx, d); err != nil {
		return nil, err
	}
	keys := d.Keys()
	if len(keys) != 1 {
		return nil, errors.New("the emulated device shows no key")
	}
	times := make([]time.Duration, 0, rounds)
	for i := range rounds {
		step := baker.Step{Chain: benchChain, Kind: tezos.Attestation, Level: int32(i + 1)}
		start := time.Now()
		if err := signOnce(ctx, d, keys[0].PublicKey.Hash(), step.Payload(tezos.Ed25519)); err != nil {
			return nil, err
		}
		times = append(times, time.Since(start))
	}
	return times, nil
}

func signOnce(ctx context.Context, d *ledger.Device, pkh tezos.PublicKeyHash, payload []byte) error {
	turn, err := d.Turn(ctx)
	if err != nil {
		return err
	}
	defer turn.Done()
	_, err = turn.Sign(ctx, pkh, payload)
	return err
}

// batchTimes measures bbolt's own group commit, Batch with its default delay: the wait of a lone request.
func batchTimes(dir string, rounds int) (batch, update []time.Duration, err error) {
	db, err := bolt.Open(filepath.Join(dir, "batch.db"), 0o600,
		&bolt.Options{NoFreelistSync: true, FreelistType: bolt.FreelistMapType})
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	put := func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte("marks"))
		if err != nil {
			return err
		}
		return b.Put([]byte("key"), make([]byte, recordSize))
	}
	for range rounds {
		start := time.Now()
		if err := db.Batch(put); err != nil {
			return nil, nil, err
		}
		middle := time.Now()
		if err := db.Update(put); err != nil {
			return nil, nil, err
		}
		batch, update = append(batch, middle.Sub(start)), append(update, time.Since(middle))
	}
	return batch, update, nil
}

// openDevices measures how long n emulated Ledgers take to be made, connected and read, all at once, as the daemon does.
func openDevices(ctx context.Context, n int) (time.Duration, error) {
	running, stop := context.WithCancel(ctx)
	var ended sync.WaitGroup
	defer func() { stop(); ended.Wait() }()
	start := time.Now()
	opened := make(chan error, n)
	for i := range n {
		ended.Go(func() {
			d, err := newDevice(fmt.Sprintf("the benchmark's device number %03d", i), 0)
			if err != nil {
				opened <- err
				return
			}
			ended.Go(func() { d.Run(running) })
			opened <- waitDevice(ctx, d)
		})
	}
	for range n {
		if err := <-opened; err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

// newDevice makes the driver of an emulated Ledger with one key.
func newDevice(seed string, latency time.Duration) (*ledger.Device, error) {
	sim, err := ledgersim.New(ledgersim.Options{
		Seed: seed, Latency: ledgersim.Uniform(latency), Decide: ledgersim.Always(ledgersim.Accept),
		Setup: []ledgersim.Setup{{Curve: ledger.Ed25519, Chain: benchChain}},
	})
	if err != nil {
		return nil, err
	}
	return ledger.New(ledger.Config{Name: seed, Chain: benchChain, Dial: sim.Dial})
}

func waitDevice(ctx context.Context, d *ledger.Device) error {
	for {
		changed := d.Changed()
		if d.Status().Health == device.Ready {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
