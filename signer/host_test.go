package signer_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/signer"
	"highwater/store"
)

// host is a signer over a real store. It can be started again, as a new process would.
type host struct {
	t      testing.TB
	dir    string
	db     *store.DB
	s      *signer.Signer
	opt    store.Options        // of each start
	holds  int                  // how many keys its drivers hold
	config func(*signer.Config) // called at each start: what it connects is of that start
	stop   func()
}

// driver is a device that runs by itself.
type driver interface {
	signer.Device
	Run(ctx context.Context)
	SetReconciler(r device.Reconciler)
}

// newHost makes one, active, all marks at level 10.
func newHost(t testing.TB, holds int, config func(*signer.Config)) *host {
	t.Helper()
	h := &host{t: t, dir: filepath.Join(t.TempDir(), "state"), holds: holds, config: config}
	require.NoError(t, store.Create(t.Context(), h.dir, at))
	h.start()
	t.Cleanup(func() { h.stop() })
	level := int32(10)
	_, err := h.s.Activate(&level, "test")
	require.NoError(t, err)
	return h
}

// start opens the store, makes a signer, and waits until it knows what its drivers hold.
func (h *host) start() {
	h.t.Helper()
	db, err := store.Open(context.Background(), h.dir, h.opt)
	require.NoError(h.t, err)
	cfg := signer.Config{Chain: ghost, Store: db}
	h.config(&cfg)
	s := signer.New(cfg)
	h.db, h.s = db, s
	s.Learn()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	h.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		require.NoError(h.t, db.Close())
	})
	var drivers []driver
	for _, d := range cfg.Devices {
		if d, ok := d.(driver); ok {
			d.SetReconciler(s.Reconciler(d.Name()))
			running.Go(func() { d.Run(ctx) })
			drivers = append(drivers, d)
		}
	}
	for _, d := range drivers {
		require.Eventually(h.t, func() bool { return len(s.Keys()) == h.holds && d.Status().Health == device.Ready },
			10*time.Second, time.Millisecond)
	}
}

func (h *host) restart() {
	h.t.Helper()
	h.stop()
	h.start()
}

// ask asks for a signature with a budget that no test uses up.
func (h *host) ask(pkh tezos.PublicKeyHash, payload []byte) (tezos.Signature, error) {
	ctx, cancel := context.WithTimeout(h.t.Context(), 20*time.Second)
	defer cancel()
	return h.s.Sign(ctx, pkh, payload)
}
