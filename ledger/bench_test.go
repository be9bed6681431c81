package ledger_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"highwater/internal/device"
	"highwater/ledger"
	"highwater/ledger/ledgersim"
)

// BenchmarkSign is what driver and emulator take together, for a device of zero latency.
func BenchmarkSign(b *testing.B) {
	for _, curve := range []ledger.Curve{ledger.Ed25519, ledger.Secp256k1, ledger.P256} {
		b.Run(curve.String(), func(b *testing.B) {
			sim, err := ledgersim.New(ledgersim.Options{Seed: "a seed", Setup: []ledgersim.Setup{{Curve: curve, Chain: ghost}}})
			if err != nil {
				b.Fatal(err)
			}
			d, err := ledger.New(ledger.Config{Name: "left", Dial: sim.Dial, Chain: ghost, Probe: time.Hour})
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			var done sync.WaitGroup
			done.Go(func() { d.Run(ctx) })
			defer done.Wait()
			defer cancel()
			for level := int32(1); b.Loop(); level++ {
				turn, err := d.Turn(ctx)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := turn.Sign(ctx, d.Keys()[0].PublicKey.Hash(), attestation(level)); err != nil {
					b.Fatal(err)
				}
				turn.Done()
			}
			if d.Status().Health != device.Ready {
				b.Fatal(d.Status())
			}
		})
	}
}
