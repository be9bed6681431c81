package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"highwater/internal/baker"
	"highwater/internal/tezos"
	"highwater/test/harness"
)

// benchChain belongs to no network.
var benchChain = tezos.ChainID{'b', 'n', 'c', 'h'}

// benchStart is the level of all marks before the first request.
const benchStart = 1000

// contender is a signer under load: Highwater, or a compared signer.
type contender struct {
	name    string
	base    string // URL
	keys    []contenderKey
	process *harness.Process // nil: not running
}

// contenderKey is a key with its last requested level.
type contenderKey struct {
	public *tezos.PublicKey
	level  *atomic.Int32
}

func contenderKeyOf(public *tezos.PublicKey) contenderKey {
	k := contenderKey{public, new(atomic.Int32)}
	k.level.Store(benchStart)
	return k
}

// style is how a client asks.
type style struct {
	name string
	// octez asks for the authorized keys before each signature and opens a new connection for each request; otherwise
	// connections are kept and only the signature is asked for.
	octez bool
}

var (
	octezStyle = style{"new connections", true}
	keptStyle  = style{"kept connections", false}
	styles     = []style{octezStyle, keptStyle}
)

// load asks with every key at once, each key again right after its answer, for the given time or until enough answers
// came. The client verifies each answer outside of the measured time. The first error ends the load.
func load(ctx context.Context, c *contender, s style, limit time.Duration, enough int64) (sample, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, nil)
	defer cancel()
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		out     sample
		first   error
		granted atomic.Int64
	)
	start := time.Now()
	for _, key := range c.keys {
		wg.Go(func() {
			client := baker.New(c.base, !s.octez)
			defer client.Close()
			latency, err := loadOne(ctx, client, key, s, func() bool { return enough == 0 || granted.Add(1) <= enough })
			mu.Lock()
			defer mu.Unlock()
			out.latency = append(out.latency, latency...)
			if err != nil && first == nil {
				first = fmt.Errorf("%s: %w", c.name, err)
				cancel()
			}
		})
	}
	wg.Wait()
	out.took = time.Since(start)
	return out, first
}

func loadOne(ctx context.Context, client *baker.Client, key contenderKey, s style, more func() bool) (
	[]time.Duration, error,
) {
	var latency []time.Duration
	for ctx.Err() == nil && more() {
		step := baker.Step{Chain: benchChain, Kind: tezos.Attestation, Level: key.level.Add(1)}
		payload := step.Payload(tezos.Ed25519)
		ask := client.AskOnly
		if s.octez {
			ask = client.Ask
		}
		start := time.Now()
		// A request under way is always awaited: a level without an answer would be a gap in the count.
		sig, err := ask(context.WithoutCancel(ctx), key.public, payload)
		latency = append(latency, time.Since(start))
		if err == nil {
			err = key.public.Verify(payload, sig)
		}
		if err != nil {
			return latency, err
		}
	}
	return latency, nil
}
