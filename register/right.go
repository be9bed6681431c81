package register

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"highwater/hwm"
	"highwater/internal/loghead"
	"highwater/internal/tezos"
)

// Memory keeps durably this instance's memory of the register. SetSeen returns when cluster, revision, epoch and
// horizon survive a power cut, and leaves the remaining fields unchanged.
type Memory interface {
	Seen() Seen
	SetSeen(s Seen) error
}

// Seen is the newest known state of the register. A register below Seen was put back to an older state.
type Seen = hwm.RegisterSeen

// Config holds the parts of a Right.
type Config struct {
	Backend Backend
	Memory  Memory
	Chain   tezos.ChainID
	Me      hwm.InstanceID
	Life    string // of this process; no two processes share a life
	Ahead   int32  // levels of the horizon above the head; at least 1
	// Priority is written into the records of this process, for the standbys; no rule of safety reads the priority.
	Priority int32
	// AuditHead gives the head of the own audit log for a release, within a bound of its own; nil result: none. May be
	// nil.
	AuditHead func(ctx context.Context) *loghead.Head
	// Heard is told of the head in another instance's release. Heard must not wait. May be nil.
	Heard func(Heard)
}

// Right is a process's side of the protocol. Signing asks May, at any time. All further methods talk to the register,
// one at a time.
type Right struct {
	cfg Config

	write sync.Mutex // one conversation with the register at a time; guards the next fields
	// the last owner that this process saw, and the last release whose head was heard
	lastOwner        hwm.InstanceID
	lastEpoch, heard uint64

	mu   sync.Mutex
	held *held // nil: this process is not the owner
	// unsettled is true while an unanswered release of this process may still be applied. Meanwhile a record of this
	// process is no right: the right comes only with an acquisition, which makes the late release fail.
	unsettled bool
	closing   Record // the record of the unanswered release
}

// held is a record of this process, surely taken by the register.
type held struct {
	entry  Entry
	record Record
	floors map[place]hwm.Position // of the keys and kinds of the last release
	fenced bool                   // a release has begun
}

type place struct {
	pkh  tezos.PublicKeyHash
	kind tezos.Kind
}

// New makes the right of a process without a record yet.
func New(cfg Config) *Right { return &Right{cfg: cfg} }

// May gives the bounds of a key's signatures now: strictly above floor, and at limit or below. False: nothing at all.
//
// Invariant: limit is the horizon of a record of this process, and the register surely holds or held the record. Nobody
// else can have signed between floor and limit.
func (r *Right) May(pkh tezos.PublicKeyHash, kind tezos.Kind) (floor hwm.Position, limit int32, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held == nil || r.held.fenced {
		return hwm.Position{}, 0, false
	}
	floor, named := r.held.floors[place{pkh, kind}]
	if !named {
		floor = hwm.Position{Level: r.held.record.Floor, Round: hwm.MaxRound}
	}
	return floor, r.held.record.Horizon, true
}

// Held is the record of this process; false: this process is not the owner.
func (r *Right) Held() (Record, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held == nil {
		return Record{}, false
	}
	return r.held.record, true
}

// Read gives the register's record. A record of this process is adopted. Errors wrap ErrAbsent, ErrUnreadable or
// ErrOlder, or tell of a breakage.
func (r *Right) Read(ctx context.Context) (Record, error) {
	r.write.Lock()
	defer r.write.Unlock()
	_, rec, err := r.read(ctx)
	return rec, err
}

func (r *Right) read(ctx context.Context) (Entry, Record, error) {
	e, err := r.cfg.Backend.Read(ctx)
	if err != nil {
		return Entry{}, Record{}, r.denied(err)
	}
	rec, err := r.look(e)
	return e, rec, err
}

// Denied tells whether an error is a denial: the register itself gives nobody the right, by no record, an unreadable
// record, or an older record. Silence is no denial.
func Denied(err error) bool {
	return errors.Is(err, ErrAbsent) || errors.Is(err, ErrUnreadable) || errors.Is(err, ErrOlder)
}

// denied gives the right up after a denial: another instance may begin from the register's present content.
func (r *Right) denied(err error) error {
	if Denied(err) {
		r.mu.Lock()
		r.held = nil
		r.mu.Unlock()
	}
	return err
}

// look checks and remembers an entry of the register, and adopts or gives up the right by the entry.
func (r *Right) look(e Entry) (Record, error) {
	rec, err := Parse(e.Value)
	if err == nil && rec.Chain != r.cfg.Chain {
		err = fmt.Errorf("%w: the record is for chain %s, and this instance signs for %s", ErrUnreadable, rec.Chain,
			r.cfg.Chain)
	}
	if err == nil {
		err = r.remember(e, rec)
	}
	if err != nil {
		return Record{}, r.denied(err)
	}
	r.hear(rec)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case rec.Owner != r.cfg.Me || rec.Life != r.cfg.Life:
		r.held = nil
	case r.held != nil:
		fenced := r.held.fenced
		r.held = newHeld(e, rec)
		r.held.fenced = fenced
	case !r.unsettled:
		r.held = newHeld(e, rec)
	}
	return rec, nil
}

func newHeld(e Entry, rec Record) *held {
	h := &held{entry: e, record: rec, floors: map[place]hwm.Position{}}
	for _, m := range rec.Marks {
		h.floors[place{m.PKH, m.Kind}] = m.position()
	}
	return h
}

// Unsettled tells whether an unanswered release of this process may still be applied: Settle is due.
func (r *Right) Unsettled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unsettled
}

// remember makes the register's progress durable, and refuses a register that had come further before.
func (r *Right) remember(e Entry, rec Record) error {
	seen := r.cfg.Memory.Seen()
	if err := Older(seen, e.Version, rec); err != nil {
		return err
	}
	next := seen
	next.Cluster, next.Revision, next.Epoch, next.Horizon = e.Version.Cluster, e.Version.Revision, rec.Epoch, rec.Horizon
	if next == seen {
		return nil
	}
	return r.cfg.Memory.SetSeen(next)
}

// Older refuses a record that says less than was seen, or of another cluster. The error wraps ErrOlder.
func Older(seen Seen, now Version, rec Record) error {
	switch {
	case now.Cluster != seen.Cluster && seen.Cluster != 0:
		return fmt.Errorf("%w: cluster %x answers, and the record was in cluster %x", ErrOlder, now.Cluster, seen.Cluster)
	case now.Revision < seen.Revision:
		return fmt.Errorf("%w: revision %d, and revision %d was seen", ErrOlder, now.Revision, seen.Revision)
	case rec.Epoch < seen.Epoch:
		return fmt.Errorf("%w: epoch %d, and epoch %d was seen", ErrOlder, rec.Epoch, seen.Epoch)
	case rec.Epoch == seen.Epoch && rec.Horizon < seen.Horizon:
		return fmt.Errorf("%w: horizon %d in epoch %d, and horizon %d was seen", ErrOlder, rec.Horizon, rec.Epoch,
			seen.Horizon)
	}
	return nil
}

// Acquire makes this process the owner: from above the horizon of the replaced record, or from above the exact marks of
// a release. head is the chain's level here. may decides about the record before its replacement; an error of may ends
// the attempt with nothing changed.
//
// A missing answer is ErrUnsettled; a later Read adopts the record if the request was applied.
func (r *Right) Acquire(ctx context.Context, head int32, may func(Record) error) (Record, error) {
	r.write.Lock()
	defer r.write.Unlock()
	e, rec, err := r.read(ctx)
	if err != nil {
		return Record{}, err
	}
	if mine, ok := r.Held(); ok {
		return mine, nil
	}
	if err = may(rec); err != nil {
		return Record{}, err
	}
	next := Record{
		Chain: r.cfg.Chain, Owner: r.cfg.Me, Life: r.cfg.Life, Priority: r.cfg.Priority, Epoch: rec.Epoch + 1,
		Floor: rec.Horizon, Horizon: above(max(rec.Horizon, head), r.cfg.Ahead), Marks: rec.Marks,
	}
	if !rec.Released() { // nobody knows how far the owner came: the same keys, at its horizon
		next.Marks = nil
		for _, m := range rec.Marks {
			next.Marks = append(next.Marks, Mark{PKH: m.PKH, Kind: m.Kind, Level: rec.Horizon, Round: hwm.MaxRound})
		}
	}
	rec, err = r.swap(ctx, e, next)
	if errors.Is(err, errAdopted) { // an earlier acquisition of this process came first
		err = nil
	}
	return rec, err
}

// Extend moves a lower horizon to head + ahead. The old limit stays good without an answer.
func (r *Right) Extend(ctx context.Context, head int32) (Record, error) {
	r.write.Lock()
	defer r.write.Unlock()
	for range 2 { // the second time from what a lost extension made of the record
		h, err := r.owner()
		if err != nil {
			return Record{}, err
		}
		next := h.record
		next.Horizon = above(head, r.cfg.Ahead)
		if next.Horizon <= h.record.Horizon {
			return h.record, nil
		}
		rec, err := r.swap(ctx, h.entry, next)
		if !errors.Is(err, errAdopted) {
			return rec, err
		}
	}
	return Record{}, ErrUnsettled
}

// Ask asks the owner, in the record, to release the right to this instance. Ask changes nothing else of the record, and
// gives this instance nothing. may decides about the record first, as in Acquire.
func (r *Right) Ask(ctx context.Context, may func(Record) error) (Record, error) {
	r.write.Lock()
	defer r.write.Unlock()
	for range askTries { // the owner may extend its horizon between the look and the question
		e, rec, err := r.read(ctx)
		if err != nil {
			return Record{}, err
		}
		if rec.Released() || rec.Owner == r.cfg.Me || rec.Asked == r.cfg.Me {
			return rec, nil
		}
		if err = may(rec); err != nil {
			return Record{}, err
		}
		next := rec
		next.Asked = r.cfg.Me
		now, swapped, err := r.cfg.Backend.Swap(ctx, e, next.encode())
		if err != nil {
			return Record{}, err
		}
		if swapped {
			return r.look(now)
		}
	}
	return Record{}, errMoved
}

// askTries bounds the attempts of a question: a living owner writes once a level.
const askTries = 5

// Fence ends signing under this right, before a release.
func (r *Right) Fence() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held != nil {
		r.held.fenced = true
	}
}

// Fenced tells whether a release has begun, and has not ended.
func (r *Right) Fenced() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held != nil && r.held.fenced
}

// Release gives the right to next (zero: to any), with the exact marks of all signatures. The caller has ended signing
// in memory and on disk, and calls Fence first. marks are merged with the marks at the acquisition.
//
// A missing answer is ErrUnsettled: this process does not sign before a new acquisition. Settle asks for the end of the
// release.
func (r *Right) Release(ctx context.Context, next hwm.InstanceID, marks []Mark) (Record, error) {
	r.write.Lock()
	defer r.write.Unlock()
	r.Fence()
	// After the end of signing: the log up to the head has all signatures.
	life := lifeOf(r.ownHead(ctx))
	for range 2 { // the second time from what a lost extension made of the record
		h, err := r.owner()
		if err != nil {
			return Record{}, err
		}
		rec, err := r.release(ctx, h.entry, closed(h.record, next, marks, life))
		if !errors.Is(err, errAdopted) {
			return rec, err
		}
	}
	return Record{}, ErrUnsettled
}

func (r *Right) release(ctx context.Context, prev Entry, want Record) (Record, error) {
	rec, err := r.swap(ctx, prev, want)
	if errors.Is(err, ErrUnsettled) {
		r.mu.Lock()
		r.held, r.unsettled, r.closing = nil, true, want
		r.mu.Unlock()
	}
	return rec, err
}

// closed is the record of a release: the horizon is the highest level with a possible signature. No mark of the record
// lies below a mark or floor at the acquisition, even if the given mark does: an earlier owner may have signed up to
// the floor. No mark lies above the horizon of rec, even if a mark was set higher: nobody has signed above the horizon
// of rec.
func closed(own Record, next hwm.InstanceID, marks []Mark, life string) Record {
	floors := own.Marks
	for _, m := range marks {
		if !named(own.Marks, m) {
			floors = append(floors[:len(floors):len(floors)],
				Mark{PKH: m.PKH, Kind: m.Kind, Level: own.Floor, Round: hwm.MaxRound})
		}
	}
	out := Record{
		Chain: own.Chain, Next: next, Life: life, Epoch: own.Epoch + 1, Floor: own.Floor, Horizon: own.Floor,
		Marks: merge(floors, marks),
	}
	for i, m := range out.Marks {
		if m.Level > own.Horizon {
			out.Marks[i].Level, out.Marks[i].Round = own.Horizon, hwm.MaxRound
		}
		out.Horizon = max(out.Horizon, out.Marks[i].Level)
	}
	return out
}

// Settle brings an unanswered release to its end: Settle reads the register, and releases again if the record is still
// this process's. ErrLost: another instance has the record by now. Without a release under way Settle gives the present
// record.
func (r *Right) Settle(ctx context.Context) (Record, error) {
	r.write.Lock()
	defer r.write.Unlock()
	e, rec, err := r.read(ctx)
	if err != nil {
		return Record{}, err
	}
	r.mu.Lock()
	want, unsettled := r.closing, r.unsettled
	r.mu.Unlock()
	switch {
	case !unsettled:
		return rec, nil
	case rec.Owner == r.cfg.Me && rec.Life == r.cfg.Life:
		// from this record: an acquisition may have been applied late
		return r.release(ctx, e, closed(rec, want.Next, want.Marks, want.Life))
	case rec.Released() && rec.Epoch == want.Epoch:
		return rec, nil
	}
	return Record{}, ErrLost
}

func (r *Right) owner() (*held, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held == nil {
		return nil, ErrLost
	}
	return r.held, nil
}

// errAdopted: the register held an unexpected record of this process. An earlier request was applied after its sender
// gave up.
var errAdopted = errors.New("an earlier request of this process was applied")

// swap writes next in the place of prev, and takes the register's answer.
func (r *Right) swap(ctx context.Context, prev Entry, next Record) (Record, error) {
	now, swapped, err := r.cfg.Backend.Swap(ctx, prev, next.encode())
	if Denied(err) {
		return Record{}, r.denied(err)
	}
	if err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrUnsettled, err)
	}
	if swapped { // a write of this process: every earlier request fails its compare from now on
		r.mu.Lock()
		r.unsettled = false
		r.mu.Unlock()
	}
	rec, err := r.look(now)
	if err != nil {
		return Record{}, err
	}
	switch _, mine := r.Held(); {
	case swapped:
		return rec, nil
	case mine:
		return rec, errAdopted
	}
	return Record{}, ErrLost
}

func named(marks []Mark, m Mark) bool {
	return slices.ContainsFunc(marks, func(o Mark) bool { return o.PKH == m.PKH && o.Kind == m.Kind })
}

// merge gives the higher of the marks of each key and kind.
func merge(a, b []Mark) []Mark {
	var out []Mark
	at := map[place]int{}
	for _, m := range append(append([]Mark(nil), a...), b...) {
		i, known := at[place{m.PKH, m.Kind}]
		if !known {
			at[place{m.PKH, m.Kind}] = len(out)
			out = append(out, m)
			continue
		}
		if m.position().Compare(out[i].position()) > 0 {
			out[i] = m
		}
	}
	return out
}

func above(level, ahead int32) int32 {
	if level > math.MaxInt32-ahead {
		return math.MaxInt32
	}
	return level + ahead
}

// First gives the bytes of the record of `highwater register init`: nobody owns the record. The first owner starts
// above the given marks, and above level for every key and kind without a given mark. The epoch follows on the given
// epoch.
func First(chain tezos.ChainID, epoch uint64, level int32, marks []Mark) []byte {
	first := Record{Chain: chain, Epoch: epoch, Floor: level, Horizon: level}
	for _, m := range marks {
		first.Horizon = max(first.Horizon, m.Level)
	}
	return closed(first, hwm.InstanceID{}, marks, "").encode()
}
