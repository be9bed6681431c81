package main

import (
	"context"
	"sync"

	"highwater/test/failover/network"

	"highwater/ledger"
	"highwater/ledger/ledgersim"
	"highwater/test/harness"
)

// loose are emulated Ledgers outside of the signer's process, one for each key. They can be unplugged, and keep their
// marks.
type loose struct {
	devices map[string]*ledgersim.Device // by address
	cancel  context.CancelFunc
	done    sync.WaitGroup
}

// looseSeed gives the Ledgers of both machines the same keys.
const looseSeed = "worth nothing: unplugged"

// looseAt are the addresses of the Ledgers in the machine's own network, each with its key.
var looseAt = map[string]ledger.Curve{"127.0.0.1:9998": ledger.P256, "127.0.0.1:9999": ledger.Secp256k1}

func newLoose(ctx context.Context, ns *network.Namespace) (*loose, error) {
	l := &loose{devices: map[string]*ledgersim.Device{}}
	for at, curve := range looseAt {
		opt := ledgersim.Options{Seed: looseSeed, Decide: ledgersim.Always(ledgersim.Accept)}
		opt.Setup = []ledgersim.Setup{{Curve: curve, Chain: harness.Chain}}
		d, err := ledgersim.New(opt)
		if err != nil {
			return nil, err
		}
		l.devices[at] = d
	}
	err := l.plug(ctx, ns)
	return l, err
}

// plug serves the Ledgers to the machine.
func (l *loose) plug(ctx context.Context, ns *network.Namespace) error {
	var serving context.Context
	serving, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for at, d := range l.devices {
		listener, err := ns.Listen(ctx, at)
		if err != nil {
			l.unplug()
			return err
		}
		l.done.Go(func() { _ = ledgersim.ServeTCP(serving, listener, d) }) // ServeTCP ends by unplug
	}
	return nil
}

// unplug ends all connections to the Ledgers, and waits for their end.
func (l *loose) unplug() {
	l.cancel()
	l.done.Wait()
}
