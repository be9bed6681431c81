package signer

import (
	"context"
	"sync"
	"time"

	"highwater/hwm"
	"highwater/internal/tezos"
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
}

// DiskWait is how long a request waits for the disk, after its device is done, before the wait is counted, and said
// in the log.
const DiskWait = time.Millisecond

// WaitedForDisk tells whether the answer was ready, and had to wait for the disk.
func (o Outcome) WaitedForDisk() bool { return o.CommitFor >= DiskWait || o.Reason == SlowDisk }

// outcome is filled along the way; a late request is reported while its exchange goes on.
type outcome struct {
	mu     sync.Mutex
	o      Outcome
	stage  Stage
	start  time.Time
	sender *sender
	notes  []func() // lines of the log
}

// note keeps a line of the log until the request holds no lock.
func (o *outcome) note(line func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.notes = append(o.notes, line)
}

// tell writes the lines so far.
func (o *outcome) tell() {
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
	id   string
	line func()
}

type senderKey struct{}

// WithRequest gives a request made with ctx a name in the log, and keeps the request's line until the same goroutine
// calls report: the answer leaves first, and waits for no log.
func WithRequest(ctx context.Context, id string) (_ context.Context, report func()) {
	r := &sender{id: id, line: func() {}}
	return context.WithValue(ctx, senderKey{}, r), func() { r.line() }
}

func (s *Signer) begin(ctx context.Context, pkh tezos.PublicKeyHash) *outcome {
	out := &outcome{o: Outcome{PKH: pkh, Chain: s.chain}, start: time.Now()}
	if r, ok := ctx.Value(senderKey{}).(*sender); ok {
		out.sender, out.o.RequestID = r, r.id
	}
	return out
}

func (o *outcome) decoded(req tezos.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.o.Chain, o.o.Kind, o.o.Level, o.o.Round, o.o.Warning = req.Chain, req.Kind, req.Level, req.Round, req.Warning
	o.o.Digest = req.Digest
}

// spared takes down that the device was not asked, since it would have refused.
func (o *outcome) spared() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.o.Spared = true
}

func (o *outcome) decision(v hwm.Verdict) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.o.Decision = "signed"
	if v == hwm.Replay {
		o.o.Decision = "replayed"
	}
}

func (o *outcome) registration() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.o.Decision = "registered"
}

// reached notes how far a request has come, and at which device: late tells of both.
func (o *outcome) reached(stage Stage, device string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stage, o.o.Device = stage, device
}

// where is how far the request has come.
func (o *outcome) where() (Stage, string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.stage, o.o.Device
}

func (o *outcome) device(name string, took time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.o.Device = name
	o.o.DeviceFor += took
}

func (o *outcome) timeCommit(wait func() error) error {
	start := time.Now()
	o.mu.Lock()
	o.stage = StageDisk
	o.mu.Unlock()
	err := wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.o.CommitFor = time.Since(start)
	return err
}

// end tells of a request: one line for each decision.
func (s *Signer) end(out *outcome, err error) {
	out.mu.Lock()
	o := out.o
	out.mu.Unlock()
	o.Duration = time.Since(out.start)
	o.Err, o.Reason = err, ReasonOf(err)
	if err != nil {
		o.Decision = "failed"
		if Refused(err) {
			o.Decision = "refused"
		}
	}
	s.observe(o)
	line := func() { out.tell(); s.line(o) }
	if out.sender == nil {
		line()
		return
	}
	out.sender.line = line
}
