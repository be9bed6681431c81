package tezsign_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/tezos"
	"highwater/tezsign"
	"highwater/tezsign/tezsignsim"
)

// slowBus is a bus whose every transfer costs the same time, and which counts transfers.
type slowBus struct {
	open    tezsign.OpenFunc
	latency time.Duration

	out, in, control, claims atomic.Int64

	waited atomic.Int64 // real time of the transfers that a signature waits for: all but the accept's
}

// transfer takes a transfer's time.
func (b *slowBus) transfer() time.Duration {
	begin := time.Now()
	<-time.After(b.latency)
	return time.Since(begin)
}

func (b *slowBus) Open(ctx context.Context, serial string) (tezsign.Gadget, error) {
	g, err := b.open(ctx, serial)
	return slowGadget{g, b}, err
}

type slowGadget struct {
	tezsign.Gadget
	bus *slowBus
}

func (g slowGadget) Claim(ctx context.Context, iface int) (tezsign.Channel, error) {
	g.bus.claims.Add(1)
	ch, err := g.Gadget.Claim(ctx, iface)
	return slowChannel{ch, g.bus}, err
}

func (g slowGadget) Control(ctx context.Context, kind, request uint8, value, index uint16, data []byte) (int, error) {
	g.bus.control.Add(1)
	g.bus.transfer()
	return g.Gadget.Control(ctx, kind, request, value, index, data)
}

type slowChannel struct {
	tezsign.Channel
	bus *slowBus
}

func (c slowChannel) Write(ctx context.Context, p []byte) (int, error) {
	c.bus.out.Add(1)
	c.bus.waited.Add(int64(c.bus.transfer()))
	return c.Channel.Write(ctx, p)
}

func (c slowChannel) Read(ctx context.Context, buf []byte) (int, error) {
	n, err := c.Channel.Read(ctx, buf)
	if err == nil {
		took := c.bus.transfer()
		if c.bus.in.Add(1)%2 == 0 { // the answer: the accept comes while the gadget works
			c.bus.waited.Add(int64(took))
		}
	}
	return n, err
}

// transfers is out, in, control requests and claims, since the last call.
func (b *slowBus) transfers() [4]int64 {
	b.waited.Store(0)
	return [4]int64{b.out.Swap(0), b.in.Swap(0), b.control.Swap(0), b.claims.Swap(0)}
}

// onSlowBus is a device behind a slow bus, which has signed its first level.
func onSlowBus(t testing.TB, o tezsignsim.Options, latency time.Duration) (*lab, *slowBus) {
	t.Helper()
	o.Keys = []string{"consensus"}
	sim := newSim(t, o)
	bus := &slowBus{open: sim.Open, latency: latency}
	l := startWith(t, sim, &reconciler{}, func(c *tezsign.Config) {
		c.Name, c.Open, c.Log = slowProbes, bus.Open, slog.New(slog.DiscardHandler)
	})
	require.NoError(t, l.sign("consensus", payload(tezos.Attestation, 1, 0, 0)))
	bus.transfers()
	return l, bus
}

// TestTransfersPerSignature: a signature is as few transfers as the gadget allows, the request's frame out, and its two
// frames (accept, answer) in. On the clock of the bubble, where only waiting takes time, a signature takes the gadget's
// time and one transfer each way: the host waits for nothing else.
func TestTransfersPerSignature(t *testing.T) {
	const device, signatures = 10 * time.Millisecond, 20
	cases := map[string]struct {
		latency   time.Duration
		maxPacket int
		in        int64 // transfers for accept and answer
	}{
		"1 ms a transfer":             {latency: time.Millisecond, in: 2},
		"5 ms a transfer":             {latency: 5 * time.Millisecond, in: 2},
		"full speed, 1 ms a transfer": {latency: time.Millisecond, maxPacket: 64, in: 3},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l, bus := onSlowBus(t, tezsignsim.Options{Latency: device, MaxPacket: c.maxPacket}, c.latency)
				begin := time.Now()
				for level := range int32(signatures) {
					require.NoError(t, l.sign("consensus", payload(tezos.Attestation, level+2, 0, 0)))
				}
				wall := time.Since(begin)
				require.Equal(t, [4]int64{signatures, c.in * signatures, 0, 0}, bus.transfers(), "out, in, control, claims")
				waits := time.Duration(1+c.in-1) * c.latency // out, and in; the accept comes while the gadget works
				require.Equal(t, signatures*(device+waits), wall, "nothing but gadget and transfers")
			})
		})
	}
}

// BenchmarkHostShare is the driver's own time for a signature beside gadget and transfers, in the metric host-µs.
func BenchmarkHostShare(b *testing.B) {
	for _, latency := range []time.Duration{0, time.Millisecond, 5 * time.Millisecond} {
		b.Run(latency.String(), func(b *testing.B) {
			var worked atomic.Int64
			l, bus := onSlowBus(b, tezsignsim.Options{
				Latency: 10 * time.Millisecond, Worked: func(d time.Duration) { worked.Add(int64(d)) },
			}, latency)
			pkh := l.key("consensus").PublicKey.Hash()
			worked.Store(0)
			level := int32(1)
			for b.Loop() {
				level++
				turn, err := l.Turn(b.Context())
				require.NoError(b, err)
				_, err = turn.Sign(b.Context(), pkh, payload(tezos.Attestation, level, 0, 0))
				turn.Done()
				require.NoError(b, err)
			}
			n := int64(level - 1)
			own := b.Elapsed() - time.Duration(worked.Load()+bus.waited.Load())
			b.ReportMetric(float64(own.Microseconds())/float64(n), "host-µs/op")
			moved := bus.transfers()
			b.ReportMetric(float64(moved[0]+moved[1])/float64(n), "transfers/op")
		})
	}
}
