package year

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
	"highwater/signer"
	"highwater/signer/signertest"
	"highwater/store"
)

// machine is a signer with a real store, and a device with the time of a Ledger. Both machines of a year hold the same
// key.
type machine struct {
	t       *testing.T
	ahead   int32
	chain   *chain
	disk    *disk
	key     *softkey.Key
	dir     string // of the store
	runtime string
	disks   int // so far
	root    string
	door    *door

	db     *store.DB
	signer *signer.Signer
	dev    *ledger
	cancel context.CancelFunc
	ended  chan struct{}
}

func newMachine(t *testing.T, root string, ahead int32, c *chain, key *softkey.Key, d *door) *machine {
	m := &machine{t: t, ahead: ahead, chain: c, disk: &disk{}, key: key, root: root, door: d}
	m.install()
	return m
}

// install gives the machine a new disk without any marks, and starts the signer on standby.
func (m *machine) install() {
	m.disks++
	m.dir = filepath.Join(m.root, fmt.Sprintf("disk%d", m.disks))
	require.NoError(m.t, store.Create(m.t.Context(), m.dir, time.Now()))
	m.boot()
	m.start()
}

// boot gives the machine a new runtime directory: a boot finds its tmpfs empty.
func (m *machine) boot() {
	m.runtime = filepath.Join(m.root, "boot"+time.Now().Format("0102T150405.000"))
	require.NoError(m.t, os.MkdirAll(m.runtime, 0o700))
}

func (m *machine) start() {
	var err error
	m.db, err = store.Open(m.t.Context(), m.dir,
		store.Options{Ahead: m.ahead, RuntimeDir: m.runtime, OnCommit: m.disk.sync})
	require.NoError(m.t, err)
	m.dev = newLedger(m.key)
	m.signer = signer.New(signer.Config{
		Chain: signertest.Chain, Store: m.db, Devices: []signer.Device{m.dev}, Head: m.chain.known,
	})
	m.signer.Learn()
	m.door.restart()
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel, m.ended = cancel, make(chan struct{})
	go func() {
		defer close(m.ended)
		m.signer.Run(ctx)
	}()
}

// stop ends the signer in order.
func (m *machine) stop() {
	m.cancel()
	<-m.ended
	require.NoError(m.t, m.db.Close())
}

// cut takes the power away: the disk keeps what was synced, and the runtime directory of the boot is gone.
func (m *machine) cut() {
	synctest.Wait() // every commit is either on the disk, or has not begun
	kept := filepath.Join(m.root, "kept"+time.Now().Format("0102T150405.000"))
	require.NoError(m.t, os.MkdirAll(kept, 0o700))
	marks, err := os.ReadFile(filepath.Join(m.dir, store.FileName))
	require.NoError(m.t, err)
	require.NoError(m.t, os.WriteFile(filepath.Join(kept, store.FileName), marks, 0o600))
	m.stop() // of the old world: the copy does not see this orderly end
	require.NoError(m.t, os.RemoveAll(m.dir))
	m.dir = kept
}

// own makes this machine the owner of the next epoch, with marks that the owner before gave away, or with floors.
func (m *machine) own(floors []hwm.Row, epoch uint64) {
	next := hwm.RoleRecord{Role: hwm.Active, Epoch: epoch, Owner: m.db.Instance(), Why: "the calendar"}
	_, err := m.signer.Become(m.t.Context(), next, floors)
	require.NoError(m.t, err)
}

// give ends signing here, and gives the marks that the next owner needs.
func (m *machine) give() []hwm.Row {
	_, err := m.signer.Stand(m.t.Context(), hwm.Standby, "a handover")
	require.NoError(m.t, err)
	rows, err := m.db.Rows()
	require.NoError(m.t, err)
	return rows
}

// disk is the time of a sync. A stall holds each commit until the stall's end.
type disk struct {
	mu    sync.Mutex
	until time.Time
}

func (d *disk) stall(until time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if until.After(d.until) {
		d.until = until
	}
}

// sync takes the place of the disk in the simulated time: the real sync before it took none.
func (d *disk) sync(time.Duration) {
	d.mu.Lock()
	stalled := time.Until(d.until)
	d.mu.Unlock()
	<-time.After(max(stalled, 0) + 8*time.Millisecond)
}

// ledger is a device that takes 230 to 790 ms for a signature, as a Ledger Nano S Plus does, and can be away.
type ledger struct {
	key   *softkey.Key
	baton chan struct{}

	mu      sync.Mutex
	here    chan struct{} // closed while the device is connected
	changed chan struct{}
	asked   int
}

func newLedger(key *softkey.Key) *ledger {
	l := &ledger{key: key, baton: make(chan struct{}, 1), here: make(chan struct{}), changed: make(chan struct{})}
	close(l.here)
	l.baton <- struct{}{}
	return l
}

// reset takes the device away for a while.
func (l *ledger) reset(away time.Duration) {
	l.mu.Lock()
	l.here = make(chan struct{})
	l.tell()
	here := l.here
	l.mu.Unlock()
	time.AfterFunc(away, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		close(here)
		l.tell()
	})
}

// tell wakes the waiters for a change; the caller holds l.mu.
func (l *ledger) tell() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *ledger) isHere() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.here
}

func (l *ledger) Name() string { return "ledger" }

func (l *ledger) Status() device.Status {
	select {
	case <-l.isHere():
		return device.Status{Health: device.Ready}
	default:
		return device.Status{Health: device.Absent}
	}
}

func (l *ledger) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

func (l *ledger) Keys() []device.Key {
	return []device.Key{{PublicKey: l.key.PublicKey(), Alias: "ed25519", Kinds: tezos.Kinds}}
}

func (l *ledger) Turn(ctx context.Context) (device.Turn, error) {
	busy := &device.Error{Device: "ledger", Health: device.Absent, Retry: true, Err: context.DeadlineExceeded}
	select {
	case <-l.isHere():
	case <-ctx.Done():
		return nil, busy
	}
	select {
	case <-l.baton:
		return turn{l}, nil
	case <-ctx.Done():
		return nil, busy
	}
}

type turn struct{ l *ledger }

func (t turn) Done() { t.l.baton <- struct{}{} }

func (t turn) Sign(_ context.Context, _ tezos.PublicKeyHash, payload []byte) (tezos.Signature, error) {
	t.l.mu.Lock()
	t.l.asked++
	took := time.Duration(230+t.l.asked%57*10) * time.Millisecond
	t.l.mu.Unlock()
	<-time.After(took)
	select {
	case <-t.l.isHere():
		return t.l.key.Sign(payload), nil
	default: // pulled in the middle of the exchange
		return tezos.Signature{}, &device.Error{
			Device: "ledger", Health: device.Absent, Retry: true, Asked: true, Err: io.ErrUnexpectedEOF,
		}
	}
}
