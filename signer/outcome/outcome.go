// Package outcome takes down the fate of a request, for the log and the metrics.
package outcome

import (
	"context"
	"sync"
	"time"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/signer/refusal"
)

// Outcome is the end of a request, for the log and the metrics.
type Outcome struct {
	RequestID string
	Chain     tezos.ChainID
	PKH       tezos.PublicKeyHash
	Kind      tezos.Kind // zero when the payload was not decoded
	Level     int32
	Round     int32
	Digest    [32]byte // of the payload; zero when the payload was not decoded
	Decision  string   // signed, replayed, registered, refused, failed
	Reason    string   // one word; empty when signed or replayed
	Warning   string   // tezos.WarnBlockLayout, or empty
	Spared    bool     // failed before a mark moved and before a device was asked: the device would have refused
	Device    string
	Duration  time.Duration
	DeviceFor time.Duration // the device's own time
	CommitFor time.Duration // waited for the disk after the device was done
	Err       error
	Client    string       // address without a port; empty: not told
	Before    hwm.Position // the mark when the request was decided, where Marked
	Marked    bool         // there was a mark
	Moved     bool         // the request moved the mark to its own place
	Signature tezos.Signature
}

// DiskWait is how long a request waits for the disk, after its device is done, before the wait is counted, and said
// in the log.
const DiskWait = time.Millisecond

// WaitedForDisk tells whether the answer was ready, and had to wait for the disk.
func (o Outcome) WaitedForDisk() bool { return o.CommitFor >= DiskWait || o.Reason == refusal.SlowDisk }

// Record is filled along the way; a late request is reported while its exchange goes on.
type Record struct {
	mu     sync.Mutex
	o      Outcome
	stage  refusal.Stage
	start  time.Time
	sender *sender
	notes  []func() // lines of the log
}

// Note keeps a line of the log until the request holds no lock.
func (o *Record) Note(line func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.notes = append(o.notes, line)
}

// Tell writes the lines so far.
func (o *Record) Tell() {
	o.mu.Lock()
	due := o.notes
	o.notes = nil
	o.mu.Unlock()
	for _, line := range due {
		line()
	}
}

// sender is the origin of a request: the sender's name for the request, and the line of the log, written when the
// sender says so.
type sender struct {
	id, client string
	line       func()
}

type senderKey struct{}

// WithRequest gives a request of a client, made with ctx, a name in the log, and keeps the request's line until the same goroutine
// calls report: the answer leaves first, and waits for no log.
func WithRequest(ctx context.Context, id, client string) (_ context.Context, report func()) {
	r := &sender{id: id, client: client, line: func() {}}
	return context.WithValue(ctx, senderKey{}, r), func() { r.line() }
}

// Decoded takes down the decoded request.
func (o *Record) Decoded(req tezos.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.o.Chain, o.o.Kind, o.o.Level, o.o.Round, o.o.Warning = req.Chain, req.Kind, req.Level, req.Round, req.Warning
	o.o.Digest = req.Digest
}

// Found takes down the mark by which the request is decided; nil: no mark.
func (o *Record) Found(mark *hwm.Mark) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.o.Marked = mark != nil; o.o.Marked {
		o.o.Before = mark.Position
	}
}

// Spared takes down that the device was not asked, since it would have refused.
func (o *Record) Spared() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.o.Spared = true
}

// Decision takes down a verdict to sign or to replay.
func (o *Record) Decision(v hwm.Verdict) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.o.Decision, o.o.Moved = "signed", v == hwm.Advance
	if v == hwm.Replay {
		o.o.Decision = "replayed"
	}
}

// Registration takes down that the operation registers a key.
func (o *Record) Registration() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.o.Decision = "registered"
}

// Reached notes how far a request has come, and at which device: a late request tells of both.
func (o *Record) Reached(stage refusal.Stage, device string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stage, o.o.Device = stage, device
}

// Where is how far the request has come.
func (o *Record) Where() (refusal.Stage, string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.stage, o.o.Device
}

// Device takes down the device, and the time that the exchange took.
func (o *Record) Device(name string, took time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.o.Device = name
	o.o.DeviceFor += took
}

// TimeCommit waits for the disk, and takes down for how long.
func (o *Record) TimeCommit(wait func() error) error {
	start := time.Now()
	o.mu.Lock()
	o.stage = refusal.StageDisk
	o.mu.Unlock()
	err := wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.o.CommitFor = time.Since(start)
	return err
}
