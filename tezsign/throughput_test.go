package tezsign_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/tezsign"
	"highwater/tezsign/tezsignsim"
)

// TestSixtyFourKeysOnFourGadgets: 16 keys a gadget, each key signing at once, at 5 ms a signature. The gadgets allow
// one signature after the other on each, and the driver lets no gadget wait: on the clock of the bubble, where only
// waiting takes time, nothing is added.
func TestSixtyFourKeysOnFourGadgets(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const gadgets, keysEach, rounds = 4, 16, 6
		const latency = 5 * time.Millisecond
		var busy atomic.Int64 // time that the gadgets spent on signatures
		var runs sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		defer func() { cancel(); runs.Wait() }()
		var labs []*lab
		for i := range gadgets {
			var aliases []string
			for k := range keysEach {
				aliases = append(aliases, fmt.Sprintf("key-%d-%02d", i, k))
			}
			sim := newSim(t, tezsignsim.Options{
				Serial: fmt.Sprint(i), Seed: fmt.Sprint(i), Keys: aliases, Latency: latency,
				Worked: func(d time.Duration) { busy.Add(int64(d)) },
			})
			d := tezsign.New(tezsign.Config{
				Name: fmt.Sprint(i), Open: sim.Open, Chain: testChain,
				Log: slog.New(slog.DiscardHandler),
			})
			runs.Go(func() { d.Run(ctx) })
			l := &lab{Device: d, t: t, sim: sim}
			l.health(device.Ready)
			labs = append(labs, l)
		}
		begin := time.Now()
		signAll(t, labs, 0, rounds)
		wall := time.Since(begin)
		require.Equal(t, gadgets*keysEach*rounds*latency, time.Duration(busy.Load()))
		require.LessOrEqual(t, wall, keysEach*rounds*latency*101/100, "the gadgets alone take %s", keysEach*rounds*latency)
	})
}

// signAll has every key sign attestations of n levels above from, all keys at once.
func signAll(t *testing.T, labs []*lab, from, n int32) {
	t.Helper()
	ctx := t.Context()
	var workers sync.WaitGroup
	for _, l := range labs {
		for _, k := range l.Keys() {
			workers.Go(func() {
				for level := from + 1; level <= from+n; level++ {
					turn, err := l.Turn(ctx)
					if err == nil {
						_, err = turn.Sign(ctx, k.PublicKey.Hash(), payload(tezos.Attestation, level, 0, 0))
						turn.Done()
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	workers.Wait()
}

// TestTwoKeysShareTheirChannelFairly: neither of two keys that both always want to sign gets ahead.
func TestTwoKeysShareTheirChannelFairly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := newSim(t, tezsignsim.Options{Keys: []string{"consensus", "companion"}, Latency: 5 * time.Millisecond})
		l := start(t, sim)
		l.health(device.Ready)
		var workers sync.WaitGroup
		end := time.Now().Add(time.Second)
		counts := map[string]*int32{"consensus": new(int32), "companion": new(int32)}
		for alias, n := range counts {
			workers.Go(func() {
				for time.Now().Before(end) {
					*n++
					if err := l.sign(alias, payload(tezos.Attestation, *n, 0, 0)); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		workers.Wait()
		require.InDelta(t, *counts["consensus"], *counts["companion"], 2)
		require.Greater(t, *counts["consensus"], int32(80))
	})
}
