package register

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"highwater/hwm"
)

// Machine is the instance that a Keeper gets the right for.
type Machine interface {
	// Head is the level of the machine's own node; false while the node is not in step.
	Head() (level int32, ok bool)
	// Ready is nil when this machine could sign now with every key: devices ready, node in step, marks there. Its error says why not.
	Ready() error
	// Begin makes the floors of a record and the role durable, then lets requests in.
	Begin(ctx context.Context, r Record) error
	// End refuses requests, waits for those inside, and makes that durable; then nothing more is signed.
	End(ctx context.Context, why string) error
	// Marks are the exact marks, durable, of a machine that has ended.
	Marks() ([]Mark, error)
}

// Policy says when a standby takes the right. Safety never depends on a policy.
type Policy struct {
	Automatic bool
	// Patience is for how many levels of this machine's own head the record must not have moved, past its horizon.
	Patience int32
	// Priority 0 comes first; each further one waits for a level more.
	Priority int32
}

// KeeperConfig is what a Keeper is made of.
type KeeperConfig struct {
	Right   *Right
	Machine Machine
	Policy  Policy
	Me      hwm.InstanceID
	Resume  bool // the durable role is active: the first acquisition may replace an earlier life's record at once
	Log     *slog.Logger
	Every   time.Duration // how often the register is looked at; zero: a second
}

// Keeper keeps a machine's right: it extends the horizon of an owner with the head, and takes over where the policy says so. Run does the work.
type Keeper struct {
	cfg  KeeperConfig
	kick chan struct{}

	mu     sync.Mutex
	act    sync.Mutex // one step at a time
	state  State
	resume bool
	// of the record that was read last: its bytes' nonce, and the head when it was new
	nonce string
	since int32
}

// State is what a Keeper knows, for screens.
type State struct {
	Record Record    // read last
	Known  bool      // a record was read
	Owner  bool      // of this process
	Silent time.Time // since when the register does not answer; zero: it answers
	Err    error     // of the last conversation
	Why    string    // this machine does not take over now
}

// NewKeeper makes a keeper; nothing happens before Run.
func NewKeeper(cfg KeeperConfig) *Keeper {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Every == 0 {
		cfg.Every = time.Second
	}
	return &Keeper{cfg: cfg, kick: make(chan struct{}, 1), resume: cfg.Resume}
}

// Run keeps the right until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
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

// State is what the keeper knows now.
func (k *Keeper) State() State {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state
}

// Step looks at the register once, and does what follows.
func (k *Keeper) Step(ctx context.Context) {
	k.act.Lock()
	defer k.act.Unlock()
	if _, owner := k.cfg.Right.Held(); owner {
		k.extend(ctx)
	} else {
		k.look(ctx)
	}
}

// extend keeps the horizon ahead of the head. While the register is silent the old limit stays good.
func (k *Keeper) extend(ctx context.Context) {
	head, ok := k.cfg.Machine.Head()
	if !ok {
		return // nothing to go by: the limit stays
	}
	rec, err := k.cfg.Right.Extend(ctx, head)
	if errors.Is(err, ErrLost) {
		k.lost(ctx, "another machine took the right to sign")
	}
	k.note(rec, err)
}

func (k *Keeper) lost(ctx context.Context, why string) {
	k.cfg.Log.Warn("right lost", "why", why)
	if err := k.cfg.Machine.End(ctx, why); err != nil {
		k.cfg.Log.Error("end failed", "error", err)
	}
}

// look reads the record as a standby, and takes the right if the policy says so.
func (k *Keeper) look(ctx context.Context) {
	rec, err := k.cfg.Right.Read(ctx)
	k.note(rec, err)
	if err != nil {
		return
	}
	if held, owner := k.cfg.Right.Held(); owner { // an acquisition of this process was applied late
		k.begin(ctx, held)
		return
	}
	why := k.wait(rec)
	k.mu.Lock()
	k.state.Why = why
	k.mu.Unlock()
	if why == "" {
		k.take(ctx, k.mayReplace(rec))
	}
}

// wait says why a record is not replaced now; empty: it may be.
func (k *Keeper) wait(rec Record) string {
	head, ok := k.cfg.Machine.Head()
	if rec.Nonce != k.nonce {
		k.nonce, k.since = rec.Nonce, head
	}
	switch given := rec.Released() && rec.Next == k.cfg.Me; {
	case given: // asked for by this machine
	case !k.cfg.Policy.Automatic && !k.resume:
		return "automatic takeover is off"
	case !ok:
		return "the node is not in step"
	case k.resume && rec.Owner == k.cfg.Me: // an earlier process of this machine, which has ended
	case rec.Released() && rec.Next == hwm.InstanceID{}:
	case head < above(rec.Horizon, k.cfg.Policy.Priority):
		return "the owner may still sign up to its horizon"
	case head < above(k.since, k.cfg.Policy.Patience+k.cfg.Policy.Priority):
		return "the owner was there a moment ago"
	}
	if err := k.cfg.Machine.Ready(); err != nil {
		return "this machine is not ready: " + err.Error()
	}
	return ""
}

// mayReplace wants the very record that the decision was about.
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
	k.resume = false
	k.mu.Unlock()
	k.cfg.Log.Info("right taken", "epoch", rec.Epoch, "floor", rec.Floor, "horizon", rec.Horizon)
	if err := k.cfg.Machine.Begin(ctx, rec); err != nil {
		k.cfg.Log.Error("right cannot be used", "error", err)
		if _, relErr := k.cfg.Right.Release(ctx, hwm.InstanceID{}, nil); relErr != nil {
			k.cfg.Log.Error("release failed", "error", relErr)
		}
	}
}

// Release ends signing here and gives the right to next (zero: to any).
func (k *Keeper) Release(ctx context.Context, next hwm.InstanceID, why string) (Record, error) {
	k.act.Lock()
	defer k.act.Unlock()
	if _, owner := k.cfg.Right.Held(); !owner {
		return Record{}, ErrLost
	}
	k.cfg.Right.Fence()
	if err := k.cfg.Machine.End(ctx, why); err != nil {
		return Record{}, err
	}
	marks, err := k.cfg.Machine.Marks()
	if err != nil {
		return Record{}, err
	}
	rec, err := k.cfg.Right.Release(ctx, next, marks)
	k.note(rec, err)
	return rec, err
}

// Takeover takes the right now, from above the horizon of whoever has it: an operator's act, which needs no statement, since the register proves
// that the old owner cannot sign above its horizon.
func (k *Keeper) Takeover(ctx context.Context) (Record, error) {
	k.act.Lock()
	defer k.act.Unlock()
	if err := k.cfg.Machine.Ready(); err != nil {
		return Record{}, err
	}
	head, _ := k.cfg.Machine.Head()
	rec, err := k.cfg.Right.Acquire(ctx, head, func(Record) error { return nil })
	k.note(rec, err)
	if err != nil {
		return Record{}, err
	}
	k.begin(ctx, rec)
	return rec, nil
}

func (k *Keeper) note(rec Record, err error) {
	_, owner := k.cfg.Right.Held()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state.Owner, k.state.Err = owner, err
	if err == nil {
		k.state.Record, k.state.Known = rec, true
	}
	switch silent := err != nil && !errors.Is(err, ErrLost) && !errors.Is(err, ErrAbsent) && !errors.Is(err, ErrOlder) &&
		!errors.Is(err, ErrUnreadable) && !errors.Is(err, errMoved); {
	case !silent:
		k.state.Silent = time.Time{}
	case k.state.Silent.IsZero():
		k.state.Silent = time.Now()
	}
}
