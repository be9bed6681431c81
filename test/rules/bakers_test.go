//go:build prometheus

package rules

import (
	"context"
	"errors"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/baker"
	"highwater/internal/tezos"
	"highwater/test/harness"
)

// bake asks machines for an attestation of each new level with each key, twice, until the end of the test's function.
// Refusals and failures are data, too.
func (w *world) bake(machines ...*machine) (end func()) {
	w.t.Helper()
	ctx, stop := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	keys := map[*machine][]*tezos.PublicKey{}
	for _, m := range machines {
		var err error
		keys[m], err = m.Keys(ctx)
		require.NoError(w.t, err)
	}
	go func() { ended <- w.asks(ctx, keys) }()
	return func() {
		stop()
		require.NoError(w.t, <-ended)
	}
}

// asks makes a level each quarter of a second.
func (w *world) asks(ctx context.Context, keys map[*machine][]*tezos.PublicKey) error {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		level := w.node.Advance().Level
		for m, all := range keys {
			for _, key := range all {
				for range 2 {
					err := m.attest(ctx, key, level, 0)
					if refusal := new(baker.Refusal); err != nil && ctx.Err() == nil && !errors.As(err, &refusal) {
						return err
					}
				}
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// attest asks for an attestation.
func (m *machine) attest(ctx context.Context, key *tezos.PublicKey, level int32, variant byte) error {
	client := m.Client(false)
	defer client.Close()
	step := baker.Step{Chain: harness.Chain, Kind: tezos.Attestation, Level: level, Variant: variant}
	_, err := client.Sign(ctx, key, step.Payload(key.Curve()))
	return err
}
