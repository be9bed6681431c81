package register

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"highwater/hwm"
	"highwater/internal/heldlog"
)

// Machine is the instance behind a Keeper.
type Machine interface {
	Condition
	Acts
	// Denied is called once when the register itself gives nobody the right.
	Denied(err error)
	// Changed is called when the right may reach higher, or is gone. Changed must not wait.
	Changed()
}

// Condition is what a machine says of itself.
type Condition interface {
	// Head is the level of the machine's own node; false while no head is known.
	Head() (level int32, ok bool)
	// Ready is nil when this machine could sign now with every key: devices ready, node in step, marks present. The
	// error says why not.
	Ready() error
	// Signing tells whether requests are let in, and a key can sign. An owner that does not sign does not extend its
	// horizon.
	Signing() bool
	// Barred says why this machine takes nothing by itself: an operator's word, or a fence; empty: nothing bars the
	// machine.
	Barred() string
	// Near is nil for a level no further above all known levels than time explains.
	Near(level int32) error
}

// Acts begin and end the signing of a machine.
type Acts interface {
	// Follow takes in the marks of a record.
	Follow(r Record) error
	// Begin makes the floors of a record and the role durable, then lets requests in.
	Begin(ctx context.Context, r Record) error
	// End refuses requests, waits for the requests inside, and makes the end durable: from then on nothing is signed.
	// Abandoned signatures never leave.
	End(ctx context.Context, why string) error
	// Marks are the exact marks, durable, of a machine that has ended.
	Marks() ([]Mark, error)
}

// Policy says when a standby takes the right. Safety never depends on a policy.
type Policy struct {
	Automatic bool
	// Patience is how many levels of this machine's own head must pass without a move of the record, beyond its
	// horizon.
	Patience int32
	// Priority 0 comes first; each further priority waits for a level more.
	Priority int32
}

// KeeperConfig holds the parts of a Keeper.
type KeeperConfig struct {
	Right   *Right
	Machine Machine
	Policy  Policy
	Me      hwm.InstanceID
	Log     *slog.Logger
	// Lines keeps the lines of a step back until the step is over: the machine's own Lines, since the machine's lines
	// wait as well. Nil: the keeper's.
	Lines *heldlog.Lines
	Every time.Duration // how often the register is looked at; zero: a second
	// Quiet is nil at a good moment to ask the owner for the right: no block of these keys is near. A nil Quiet: each
	// moment is good.
	Quiet func(ctx context.Context) error
	// Watch calls poke at each noticed change of the record, until ctx ends; nil: no watch. Only speed depends on
	// Watch.
	Watch func(ctx context.Context, poke func())
}

// Keeper keeps a machine's right: the keeper extends an owner's horizon with the head, and takes over by the policy.
// Run does the work.
type Keeper struct {
	cfg  KeeperConfig
	kick chan struct{}

	act sync.Mutex // one step at a time; guards the next fields
	// of the last record: the part that moves with a living owner, and the head at the last move
	moved  moved
	since  int32
	prefer prefer
	looked bool // this process was seen to be no owner
	begun  bool // the machine has begun under the right, and has not ended

	mu     sync.Mutex
	state  State
	denied bool // Machine.Denied was called
	rests  bool // a handover to another machine is under way: nothing is taken here
	wanted bool // an operator wants the right here: the next release is taken without a wait for the policy
}

// moved is the part of a record that a living owner changes.
type moved struct {
	epoch   uint64
	horizon int32
}

// State is the knowledge of a Keeper, for screens.
type State struct {
	Record Record        // read last
	Known  bool          // a record was read
	Owner  bool          // of this process
	Silent time.Time     // since when the register does not answer; zero: the register answers
	Err    error         // of the last conversation
	Why    string        // this machine does not take over now
	Answer time.Duration // of the last look that the register answered
}

// NewKeeper makes a keeper; nothing happens before Run.
func NewKeeper(cfg KeeperConfig) *Keeper {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Every == 0 {
		cfg.Every = time.Second
	}
	if cfg.Lines == nil {
		cfg.Lines = &heldlog.Lines{}
	}
	cfg.Log = cfg.Lines.Logger(cfg.Log)
	return &Keeper{cfg: cfg, kick: make(chan struct{}, 1)}
}

// beginStep starts a step: nobody waits for a log in the middle of a step.
func (k *Keeper) beginStep() {
	k.act.Lock()
	k.cfg.Lines.Hold()
}

func (k *Keeper) endStep() {
	k.act.Unlock()
	k.cfg.Lines.Release()
}

// Run keeps the right until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	var watch sync.WaitGroup
	defer watch.Wait()
	if k.cfg.Watch != nil {
		watch.Go(func() { k.cfg.Watch(ctx, k.Poke) })
	}
	tick := time.NewTicker(k.cfg.Every)
	defer tick.Stop()
	for {
		k.Step(ctx)
		select {
		case <-tick.C:
		case <-k.kick:
		case <-ctx.Done():
			return
		}
	}
}

// Poke makes a step due at once: the head has moved, or a request waits above the limit.
func (k *Keeper) Poke() {
	select {
	case k.kick <- struct{}{}:
	default:
	}
}

// State gives the present knowledge of the keeper.
func (k *Keeper) State() State {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state
}

// Step looks at the register once, and acts on the record.
func (k *Keeper) Step(ctx context.Context) {
	k.beginStep()
	defer k.endStep()
	k.step(ctx)
	k.cfg.Machine.Changed()
}

func (k *Keeper) step(ctx context.Context) {
	if k.cfg.Right.Unsettled() {
		if _, err := k.cfg.Right.Settle(ctx); err != nil && !errors.Is(err, ErrLost) {
			k.note(Record{}, err)
			return
		}
	}
	asked, silent := time.Now(), k.State().Silent
	defer k.silentSince(silent)
	rec, err := k.cfg.Right.Read(ctx)
	k.note(rec, err)
	k.took(time.Since(asked), err)
	_, owner := k.cfg.Right.Held()
	switch {
	case k.begun && !owner:
		k.lost(ctx, whyLost(err))
	case err != nil: // the register is silent: the limit stays
	case owner && !k.begun: // an acquisition of this process was applied late
		k.adopt(ctx, rec)
	case owner && rec.Asked != hwm.InstanceID{} && rec.Asked != k.cfg.Me:
		k.give(ctx, rec.Asked)
	case owner:
		k.extend(ctx)
	default:
		k.endEarlier(ctx)
		k.standBy(ctx, rec)
	}
}

// adopt begins under a right that came late. A machine that takes nothing by itself by now gives the right back, and so
// does a machine whose release has not ended.
func (k *Keeper) adopt(ctx context.Context, rec Record) {
	why := k.cfg.Machine.Barred()
	if k.cfg.Right.Fenced() {
		why = "its release has begun"
	}
	if why == "" {
		k.begin(ctx, rec)
		return
	}
	if _, err := k.release(ctx, hwm.InstanceID{}, why); err != nil {
		k.cfg.Log.Error("release failed", "error", err)
		return
	}
	k.cfg.Log.Warn("right given back", "why", why)
}

// endEarlier ends, once, the role of an earlier process without an orderly end.
func (k *Keeper) endEarlier(ctx context.Context) {
	if k.looked {
		return
	}
	k.looked = true
	if err := k.cfg.Machine.End(ctx, "an earlier process of this instance had the right to sign"); err != nil {
		k.cfg.Log.Error("end failed", "error", err)
	}
}

func whyLost(err error) string {
	if err != nil {
		return err.Error()
	}
	return "another machine took the right to sign"
}

// extend keeps the horizon ahead of the head, while this machine signs. While the register is silent the old limit
// stays good.
func (k *Keeper) extend(ctx context.Context) {
	head, ok := k.cfg.Machine.Head()
	if !ok || !k.cfg.Machine.Signing() {
		return // the limit stays
	}
	rec, err := k.cfg.Right.Extend(ctx, head)
	k.note(rec, err)
	k.prefer.keeps(rec, err)
	if errors.Is(err, ErrLost) || Denied(err) {
		k.lost(ctx, whyLost(err))
	}
}

func (k *Keeper) lost(ctx context.Context, why string) {
	k.begun = false
	k.cfg.Log.Warn("right lost", "why", why)
	if err := k.cfg.Machine.End(ctx, why); err != nil {
		k.cfg.Log.Error("end failed", "error", err)
	}
}

// give releases the right to the asking machine.
func (k *Keeper) give(ctx context.Context, to hwm.InstanceID) {
	if _, err := k.release(ctx, to, "the instance "+to.Short()+" asked for the right to sign"); err != nil {
		k.cfg.Log.Error("release failed", "to", to.Short(), "error", err)
	}
}

// standBy takes the right if the policy says so.
func (k *Keeper) standBy(ctx context.Context, rec Record) {
	var why string
	if err := k.cfg.Machine.Follow(rec); err != nil {
		why = "the marks of the record were not taken in: " + err.Error()
	} else {
		why = k.wait(rec)
	}
	if why != "" && k.prefers(ctx, rec) {
		why = k.askBack(ctx, rec)
	}
	k.mu.Lock()
	k.state.Why = why
	k.mu.Unlock()
	if why == "" {
		k.take(ctx, k.mayReplace(rec))
	}
}

// wait says why a record is not replaced now; empty: a takeover may replace the record. Safety does not depend on wait:
// every new owner begins above the horizon.
func (k *Keeper) wait(rec Record) string {
	head, ok := k.cfg.Machine.Head()
	if now := (moved{rec.Epoch, rec.Horizon}); ok && now != k.moved {
		k.moved, k.since = now, head
	}
	if err := k.cfg.Machine.Near(rec.Horizon); err != nil {
		return err.Error()
	}
	mine := rec.Owner == k.cfg.Me || rec.Released() && rec.Next == k.cfg.Me
	switch {
	case rec.Released() && k.isWanted():
	case k.resting():
		return "a handover to another machine is under way"
	case k.cfg.Machine.Barred() != "":
		return k.cfg.Machine.Barred()
	case rec.Released() && rec.Next == k.cfg.Me: // also an answer to a question from before an operator's standby
	case !k.cfg.Policy.Automatic && !mine:
		return "automatic takeover is off"
	case !ok:
		return "the node tells no head"
	case rec.Released() && rec.Next == hwm.InstanceID{}:
	case head < above(rec.Horizon, k.cfg.Policy.Priority):
		return fmt.Sprintf("the owner may still sign up to level %d", rec.Horizon)
	case head < above(k.since, k.cfg.Policy.Patience+k.cfg.Policy.Priority):
		return "the owner was heard a moment ago"
	}
	if err := k.cfg.Machine.Ready(); err != nil {
		return "this machine is not ready: " + err.Error()
	}
	return ""
}

func (k *Keeper) isWanted() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.wanted
}

// mayReplace wants the very record of the decision.
func (k *Keeper) mayReplace(decided Record) func(Record) error {
	return func(r Record) error {
		if r.Nonce != decided.Nonce {
			return errMoved
		}
		return nil
	}
}

var errMoved = errors.New("the record moved meanwhile")

// take acquires the right and lets this machine sign.
func (k *Keeper) take(ctx context.Context, may func(Record) error) {
	head, _ := k.cfg.Machine.Head()
	rec, err := k.cfg.Right.Acquire(ctx, head, may)
	k.note(rec, err)
	if err != nil {
		if !errors.Is(err, errMoved) {
			k.cfg.Log.Warn("right not taken", "error", err)
		}
		return
	}
	k.begin(ctx, rec)
}

func (k *Keeper) begin(ctx context.Context, rec Record) {
	k.mu.Lock()
	k.wanted = false
	k.mu.Unlock()
	k.prefer.begins(rec)
	k.cfg.Log.Info("right taken", "epoch", rec.Epoch, "floor", rec.Floor, "horizon", rec.Horizon)
	err := k.cfg.Machine.Begin(ctx, rec)
	if k.begun = err == nil; !k.begun {
		k.cfg.Log.Error("right cannot be used", "error", err)
		if _, relErr := k.cfg.Right.Release(ctx, hwm.InstanceID{}, nil); relErr != nil {
			k.cfg.Log.Error("release failed", "error", relErr)
		}
	}
}

// Release ends signing here and gives the right to next (zero: to any). ErrLost: this machine has nothing to give.
func (k *Keeper) Release(ctx context.Context, next hwm.InstanceID, why string) (Record, error) {
	k.beginStep()
	defer k.endStep()
	return k.release(ctx, next, why)
}

func (k *Keeper) release(ctx context.Context, next hwm.InstanceID, why string) (Record, error) {
	if _, owner := k.cfg.Right.Held(); !owner {
		return Record{}, ErrLost
	}
	k.cfg.Right.Fence()
	defer k.cfg.Machine.Changed()
	if err := k.cfg.Machine.End(ctx, why); err != nil {
		return Record{}, err
	}
	k.begun = false
	marks, err := k.cfg.Machine.Marks()
	if err != nil {
		return Record{}, err
	}
	rec, err := k.cfg.Right.Release(ctx, next, marks)
	k.note(rec, err)
	return rec, err
}

// took keeps the time of an answer.
func (k *Keeper) took(d time.Duration, err error) {
	if err != nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state.Answer = d
}

// silentSince keeps the beginning of a silence: a register may answer each look, and refuse each write.
func (k *Keeper) silentSince(began time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.state.Silent.IsZero() && !began.IsZero() {
		k.state.Silent = began
	}
}

func (k *Keeper) note(rec Record, err error) {
	if k.noted(rec, err) {
		k.cfg.Machine.Denied(err)
	}
}

// noted keeps the result of a conversation with the register, and tells whether Machine.Denied is due.
func (k *Keeper) noted(rec Record, err error) (tell bool) {
	_, owner := k.cfg.Right.Held()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state.Owner, k.state.Err = owner, err
	if err == nil {
		k.state.Record, k.state.Known = rec, true
	}
	switch silent := err != nil && !Denied(err) && !errors.Is(err, ErrLost) && !errors.Is(err, errMoved); {
	case !silent:
		k.state.Silent = time.Time{}
	case k.state.Silent.IsZero():
		k.state.Silent = time.Now()
	}
	if Denied(err) {
		k.state.Why = "" // of a record that no longer counts
	}
	tell = Denied(err) && !k.denied
	k.denied = err != nil && (k.denied || tell)
	return tell
}
