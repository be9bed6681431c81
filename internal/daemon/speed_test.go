package daemon_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/baker"
	"highwater/internal/config"
	"highwater/internal/daemon"
	"highwater/internal/tezos"
	"highwater/operate"
	"highwater/store"
)

// benchChain is no chain that exists, and benchLevel is where its marks begin.
var benchChain = tezos.ChainID{'b', 'e', 'n', 'c'}

const benchLevel = 1000

// BenchmarkDaemon asks a whole daemon in this process over kept connections, with one emulated Ledger for each key: for
// profiles (-cpuprofile, -memprofile, -mutexprofile). Client and devices are in the numbers; `make bench` measures side
// by side.
func BenchmarkDaemon(b *testing.B) {
	for _, keys := range []int{1, 64} {
		b.Run(fmt.Sprintf("%d keys", keys), func(b *testing.B) { benchmarkDaemon(b, keys) })
	}
}

func benchmarkDaemon(b *testing.B, keys int) {
	ctx := b.Context()
	d := startForBench(b, keys)
	client := baker.New("http://"+d.Addresses["octez"], true)
	b.Cleanup(client.Close)
	rows, err := d.Admin.Keys(ctx)
	require.NoError(b, err)
	public := make([]*tezos.PublicKey, 0, keys)
	for _, r := range rows {
		key, err := client.PublicKey(ctx, r.PKH)
		require.NoError(b, err)
		public = append(public, key)
	}
	require.Len(b, public, keys)
	var done atomic.Int64
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for _, key := range public {
		wg.Go(func() {
			for level := int32(benchLevel + 1); done.Add(1) <= int64(b.N); level++ {
				step := baker.Step{Chain: benchChain, Kind: tezos.Attestation, Level: level}
				if _, err := client.SignOnly(ctx, key, step.Payload(tezos.Ed25519)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkStart takes a daemon of a thousand keys from its configuration to the last device ready: the emulated
// devices are in the number.
func BenchmarkStart(b *testing.B) {
	cfg := benchConfig(b, 1000)
	for b.Loop() {
		_, stop := runForBench(b, cfg)
		stop()
	}
}

func startForBench(b *testing.B, keys int) *daemon.Daemon {
	d, stop := runForBench(b, benchConfig(b, keys))
	b.Cleanup(stop)
	d.Signer.Learn()
	level := int32(benchLevel)
	_, err := d.Admin.Activate(b.Context(), operate.ActivateRequest{Level: &level, Why: "benchmark"})
	require.NoError(b, err)
	return d
}

func benchConfig(b *testing.B, keys int) *config.Config {
	var text strings.Builder
	fmt.Fprintf(&text, "state_dir = %q\nchain = %q\n[server]\nlisten = \"127.0.0.1:0\"\n",
		filepath.Join(b.TempDir(), "state"), benchChain)
	for i := range keys {
		fmt.Fprintf(&text, "[[device]]\nname = \"ledger-%03d\"\nkind = \"ledger\"\ntransport = \"sim\"\n", i)
	}
	cfg, err := config.Parse(text.String())
	require.NoError(b, err)
	require.NoError(b, store.Create(b.Context(), cfg.StateDir, time.Now()))
	return cfg
}

// runForBench runs a daemon until its devices are ready.
func runForBench(b *testing.B, cfg *config.Config) (d *daemon.Daemon, stop func()) {
	log, err := os.Create(filepath.Join(b.TempDir(), "log")) // a line for each signature, as a service writes it
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, log.Close()) })
	d, err = daemon.New(b.Context(), cfg, slog.New(slog.NewTextHandler(log, nil)), "bench")
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.Context()))
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	d.Settle(b.Context(), time.Minute)
	return d, func() { cancel(); require.NoError(b, <-ended) }
}
