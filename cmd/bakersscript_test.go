package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"highwater/internal/baker"
	"highwater/internal/node"
	"highwater/internal/node/nodesim"
	"highwater/internal/tezos"
)

// scriptBakers are the bakers of a script's two machines: one at each asks for every level, all the time.
type scriptBakers struct {
	judge   *baker.Judge
	clients []*baker.Client
	keys    []*tezos.PublicKey
	chain   tezos.ChainID
	stop    context.CancelFunc
	done    sync.WaitGroup

	mu     sync.Mutex
	failed error
}

// newScriptBakers asks $LISTEN for the keys.
func newScriptBakers(ts *testscript.TestScript) (*scriptBakers, error) {
	ctx := context.Background()
	b := &scriptBakers{judge: baker.NewJudge(), chain: scriptChainID(ts), stop: func() {}}
	b.clients = []*baker.Client{
		baker.New("http://"+ts.Getenv("LISTEN"), false),
		baker.New("http://"+ts.Getenv("LISTEN2"), false),
	}
	pkhs, err := b.clients[0].KnownKeys(ctx)
	if err != nil {
		return nil, errors.Join(err, b.end())
	}
	for _, pkh := range pkhs {
		key, err := b.clients[0].PublicKey(ctx, pkh)
		if err != nil {
			return nil, errors.Join(err, b.end())
		}
		b.keys = append(b.keys, key)
	}
	return b, nil
}

// rights are those of a chain on which nobody else bakes.
func (b *scriptBakers) rights() (out []node.Signer) {
	for _, key := range b.keys {
		out = append(out, node.Signer{Delegate: key.Hash(), Key: key.Hash()})
	}
	return out
}

func (b *scriptBakers) start(chain *nodesim.Node) {
	ctx, cancel := context.WithCancel(context.Background())
	b.stop = cancel
	b.done.Go(func() { b.run(ctx, chain) })
}

// run is the chain's clock: at each tick a level is attested, and the next block is made.
func (b *scriptBakers) run(ctx context.Context, chain *nodesim.Node) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := b.attest(ctx, chain); err != nil && ctx.Err() == nil {
			b.mu.Lock()
			b.failed = errors.Join(b.failed, err)
			b.mu.Unlock()
		}
		chain.Advance()
	}
}

// attest asks both machines, each for bytes of its own, until one of them signed.
func (b *scriptBakers) attest(ctx context.Context, chain *nodesim.Node) error {
	level := chain.Head().Level
	for _, key := range b.keys {
		for try, signed := 0, false; !signed && try < 10; try++ {
			for i, c := range b.clients {
				s := baker.Step{Chain: b.chain, Kind: tezos.Attestation, Level: level, Variant: byte(i)}
				payload := s.Payload(key.Curve())
				sig, err := c.Sign(ctx, key, payload)
				if err != nil {
					continue // refused; or its machine does not run
				}
				signed = true
				if _, err = b.judge.Note(key.Hash(), payload, sig); err == nil {
					err = chain.Note(key.Hash(), payload, sig)
				}
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (b *scriptBakers) end() error {
	b.stop()
	b.done.Wait()
	for _, c := range b.clients {
		c.Close()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.failed
	if doubles := b.judge.Doubles(); len(doubles) > 0 {
		err = errors.Join(err, fmt.Errorf("signed twice: %v", slices.Compact(doubles)))
	}
	return err
}
