//go:build powercut

package powercut_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/baker"
	"highwater/internal/tezos"
)

var kinds = []tezos.Kind{tezos.Block, tezos.Preattestation, tezos.Attestation}

// answer is a signature that left before the power was cut.
type answer struct {
	key  *tezos.PublicKey
	step baker.Step
}

// bakery asks for signatures and takes down those that it got.
type bakery struct {
	t      *testing.T
	client *baker.Client
	judge  *baker.Judge
	keys   []*tezos.PublicKey

	mu      sync.Mutex
	power   bool
	answers []answer // since the last cut
	older   []answer // before it
	wrong   []string // what should not happen while there is power
	level   int32    // the highest that was asked for

	control  bool                          // the program is one that forgets its horizons
	horizons map[tezos.PublicKeyHash]int32 // that the last cut left on the disk

	signed chan struct{} // there was an answer
}

func newBakery(t *testing.T, base string) *bakery {
	return &bakery{
		t: t, client: baker.New(base, true), judge: baker.NewJudge(), level: firstFloor,
		signed: make(chan struct{}, 1),
	}
}

// meet learns the signer's keys.
func (b *bakery) meet(n int) {
	b.t.Helper()
	hashes, err := b.client.KnownKeys(b.t.Context())
	require.NoError(b.t, err)
	require.Len(b.t, hashes, n)
	for _, pkh := range hashes {
		key, err := b.client.PublicKey(b.t.Context(), pkh)
		require.NoError(b.t, err)
		b.keys = append(b.keys, key)
	}
}

// ask asks once, and takes the signature down if there is still power when it is here.
func (b *bakery) ask(ctx context.Context, key *tezos.PublicKey, step baker.Step) error {
	payload := step.Payload(key.Curve())
	sig, err := b.client.Sign(ctx, key, payload)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.power {
		return errNoPower
	}
	if err == nil {
		var first bool
		if first, err = b.judge.Note(key.Hash(), payload, sig); first {
			b.answers = append(b.answers, answer{key, step})
			select {
			case b.signed <- struct{}{}:
			default:
			}
		}
	}
	return err
}

var errNoPower = errors.New("the power is cut")

// load asks for all keys at once, level by level, until what it gives is called: that waits for the askers.
func (b *bakery) load() (wait func()) {
	b.power = true
	select {
	case <-b.signed: // what the probes got
	default:
	}
	first := b.level + 2 // above what the probes asked for
	var all sync.WaitGroup
	for _, key := range b.keys {
		all.Go(func() {
			for level := first; b.bake(key, level); level++ {
			}
		})
	}
	return all.Wait
}

// bake asks for what there is to sign at a level, in two rounds, and for some of it twice. It tells whether there is
// still power.
func (b *bakery) bake(key *tezos.PublicKey, level int32) bool {
	b.mu.Lock()
	b.level = max(b.level, level)
	b.mu.Unlock()
	for round := range level%2 + 1 {
		for _, kind := range kinds {
			step := baker.Step{Chain: chain, Kind: kind, Level: level, Round: round, Variant: byte(level)}
			for range round + 1 {
				err := b.ask(b.t.Context(), key, step)
				if errors.Is(err, errNoPower) {
					return false
				}
				if err != nil {
					b.mu.Lock()
					b.wrong = append(b.wrong, fmt.Sprintf("%s %s level %d round %d: %v", key.Hash(), kind, level, round, err))
					b.mu.Unlock()
					return false
				}
			}
		}
	}
	return true
}

// cut ends what is taken down, and then calls f while nobody can take down anything: signatures that arrive later
// arrive after the cut, that is, never.
func (b *bakery) cut(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.power = false
	f()
}

// findings are what a signer did wrong after a cut.
type findings struct{ doubles, lower, stuck []string }

// probe asks for what must not be signed: other bytes for every place that was answered, other bytes below them,
// anything at a horizon, the same bytes (the same signature is right), and in the end for what must be: the level above
// the horizon, and the next level of all.
func (b *bakery) probe() (f findings) {
	b.t.Helper()
	b.power = true
	b.older = append(b.older, b.answers...)
	if len(b.older) > 2000 {
		b.older = b.older[len(b.older)-2000:]
	}
	b.answers = nil
	for _, a := range b.older {
		other, below := a.step, a.step
		other.Variant ^= 0xff
		below.Level, below.Round = a.step.Level-1, 7 // a round that nobody asks for
		below.Variant = 0x55
		for _, step := range []baker.Step{other, below} {
			if b.signs(a.key, step, http.StatusConflict) {
				f.lower = append(f.lower, fmt.Sprintf("%s %s %d/%d", a.key.Hash(), step.Kind, step.Level, step.Round))
			}
		}
		// The judge compares. The last ones may have no signature on disk yet; a device whose mark was raised in the meantime
		// refuses then.
		b.signs(a.key, a.step, http.StatusConflict, http.StatusInternalServerError)
	}
	b.probeHorizons(&f)
	f.doubles = b.judge.Doubles()
	next := b.level + 1
	for _, key := range b.keys {
		for _, kind := range kinds {
			if !b.signs(key, baker.Step{Chain: chain, Kind: kind, Level: next}, http.StatusConflict) {
				f.stuck = append(f.stuck, fmt.Sprintf("%s %s %d", key.Hash(), kind, next))
			}
		}
	}
	return f
}

// probeHorizons asks each key for something at its horizon, which is refused, and above it, which is signed.
func (b *bakery) probeHorizons(f *findings) {
	b.t.Helper()
	no := []int{http.StatusConflict}
	if b.control { // what it signed at the horizon has raised the device's mark
		no = append(no, http.StatusInternalServerError)
	}
	for _, key := range b.keys {
		horizon, ok := b.horizons[key.Hash()]
		if !ok {
			continue
		}
		b.level = max(b.level, horizon+1)
		for _, kind := range kinds {
			step := baker.Step{Chain: chain, Kind: kind, Level: horizon, Round: 9, Variant: 0x77}
			if b.signs(key, step, no...) {
				f.lower = append(f.lower, fmt.Sprintf("%s %s at the horizon %d", key.Hash(), kind, horizon))
			}
			step.Level, step.Round = horizon+1, 0
			if !b.signs(key, step, http.StatusConflict) {
				f.stuck = append(f.stuck, fmt.Sprintf("%s %s %d, above the horizon", key.Hash(), kind, horizon+1))
			}
		}
	}
	b.horizons = nil
}

// signs asks, and tells whether a signature came. A no must be an answer with one of these statuses.
func (b *bakery) signs(key *tezos.PublicKey, step baker.Step, no ...int) bool {
	b.t.Helper()
	err := b.ask(b.t.Context(), key, step)
	if err == nil {
		return true
	}
	var refusal *baker.Refusal
	require.ErrorAs(b.t, err, &refusal)
	require.Contains(b.t, no, refusal.Status, refusal.Text)
	return false
}
