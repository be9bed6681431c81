package rights

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"highwater/internal/chain"
	"highwater/internal/node"
	"highwater/internal/tezos"
)

// Bounds of a follower.
const (
	AheadBlocks = 2048 // levels; more than three hours of 6 s
	AheadAttest = 96   // levels; nearly ten minutes
	Backfill    = 200  // past levels that a new follower reads
	Levels      = 2400 // past levels that are kept; four hours
	maxPast     = 40000
	// A look at a new head asks at most so many questions about rights of each kind, and reads so many past levels.
	asksPerHead, levelsPerHead = 4, 16
	// An answer about attestations has a row for each level and key. Many keys are asked for fewer levels at once: a large
	// answer costs memory, and holds up a signature on a small machine.
	rowsAtOnce, fewestLevels = 1024, 4
	firstWait, longestWait   = 5 * time.Second, 5 * time.Minute
)

// Key is a key of ours. Other kinds than Kinds are another signer's to sign; empty: all kinds.
type Key struct {
	PKH   tezos.PublicKeyHash
	Kinds []tezos.Kind
}

// signs tells whether the key signs a kind here.
func (k Key) signs(kind tezos.Kind) bool { return len(k.Kinds) == 0 || slices.Contains(k.Kinds, kind) }

// Config holds the parts of a follower.
type Config struct {
	Reader *chain.Reader
	Keys   func() []Key
	Log    *slog.Logger // may be nil
	Now    func() time.Time
}

// Follower keeps the rights of our keys in memory. The signer does not know of it. All methods but Run work on a nil
// Follower, which knows nothing.
type Follower struct {
	cfg  Config
	kick chan struct{}

	// The fields of Run's goroutine.
	wait  time.Duration // after a failure
	until time.Time     // no question before

	mu      sync.Mutex
	version uint64 // of all that Each tells
	keys    []Key  // of the rights below
	head    int32
	pace    pace
	ahead   [2]plan // of attestations, and of blocks
	settled int32   // the last level with outcomes; 0: none yet
	from    int32   // the first level with outcomes
	past    []kept  // by level
	finals  []final // of the levels of past
	problem error
	news    chan struct{}
}

// plan are the rights of one kind at the levels from..to, by level.
type plan struct {
	from, to int32
	rights   []kept
}

// New makes a follower. Nothing is asked before Run.
func New(cfg Config) *Follower {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Follower{cfg: cfg, kick: make(chan struct{}, 1), news: make(chan struct{})}
}

// Saw tells of a head, and of the time of its block. Saw does not wait.
func (f *Follower) Saw(level int32, at time.Time) {
	if f == nil {
		return
	}
	f.mu.Lock()
	f.head, f.version = level, f.version+1
	f.pace.saw(level, at)
	f.mu.Unlock()
	select {
	case f.kick <- struct{}{}:
	default:
	}
}

// Run follows the heads until ctx ends.
func (f *Follower) Run(ctx context.Context) {
	for {
		select {
		case <-f.kick:
		case <-ctx.Done():
			return
		}
		if f.cfg.Now().Before(f.until) {
			continue
		}
		err := f.look(ctx)
		if ctx.Err() != nil {
			return
		}
		f.judge(err)
	}
}

// judge notes how a look ended. After a failure the node is left alone for a while.
func (f *Follower) judge(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		if f.problem != nil {
			f.cfg.Log.Info("the rights of the keys are known again")
		}
		f.wait, f.until, f.problem = 0, time.Time{}, nil
	} else {
		if f.problem == nil {
			f.cfg.Log.Warn("the rights of the keys are not known: the node does not tell", "error", err.Error())
		}
		f.wait = min(max(2*f.wait, firstWait), longestWait)
		f.until, f.problem = f.cfg.Now().Add(f.wait), err
	}
	close(f.news)
	f.news = make(chan struct{})
}

// look asks for the rights that are missing, and reads the levels that became final.
func (f *Follower) look(ctx context.Context) error {
	keys := f.cfg.Keys()
	head := f.begin(keys)
	if len(keys) == 0 || head == 0 {
		return nil
	}
	for range asksPerHead {
		if err := f.plan(ctx, keys, head); err != nil {
			return err
		}
	}
	return f.settle(ctx, keys, head)
}

// begin forgets the plan of other keys, and makes room.
func (f *Follower) begin(keys []Key) (head int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.head == 0 {
		return 0
	}
	f.version++
	start := max(1, f.head-Depth-Backfill)
	if !slices.EqualFunc(f.keys, keys, func(a, b Key) bool { return a.PKH == b.PKH && slices.Equal(a.Kinds, b.Kinds) }) {
		f.keys, f.ahead = slices.Clone(keys), [2]plan{}
	}
	if f.settled > f.head { // a final level does not come back: the earlier heads were of another chain
		f.settled, f.pace = 0, pace{}
	}
	if f.settled == 0 || f.settled < f.head-Levels { // the first look, or the first after a long silence of the node
		f.settled, f.from, f.past, f.finals, f.ahead = start-1, start, nil, nil, [2]plan{}
	}
	for i := range f.ahead {
		p := &f.ahead[i]
		if p.to == 0 {
			p.from, p.to = f.settled+1, f.settled
		}
		p.from = max(p.from, f.settled+1)
		p.rights = slices.DeleteFunc(p.rights, func(k kept) bool { return k.level <= f.settled })
	}
	return f.head
}

// plans are the kinds of rights in the order of Follower.ahead: how far ahead the node is asked, and for how many levels
// at once, by the number of keys.
var plans = [...]struct {
	kind  tezos.Kind
	ahead int32
	batch func(keys int) int
}{
	{tezos.Attestation, AheadAttest, levelsAtOnce},
	{tezos.Block, AheadBlocks, func(int) int { return chain.BlocksBatch }},
}

// plan asks for the next rights of each kind, if any are missing.
func (f *Follower) plan(ctx context.Context, keys []Key, head int32) error {
	for i, p := range plans {
		levels := f.missing(i, head+p.ahead, p.batch(len(keys)))
		if len(levels) == 0 {
			continue
		}
		rights, err := Ask(ctx, f.cfg.Reader, 0, keys, p.kind, levels)
		if err != nil {
			return err
		}
		f.extend(i, levels, rights)
	}
	return nil
}

// levelsAtOnce are the levels of a question about attestations.
func levelsAtOnce(keys int) int { return min(chain.AttestBatch, max(fewestLevels, rowsAtOnce/keys)) }

// missing are the next levels without rights, at most batch. A question about a few levels waits until it is worth the
// while: half a batch.
func (f *Follower) missing(kind int, to int32, batch int) (levels []int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.ahead[kind]
	if int(to-p.to) < batch/2 {
		return nil
	}
	for level := p.to + 1; level <= to && len(levels) < batch; level++ {
		levels = append(levels, level)
	}
	return levels
}

func (f *Follower) extend(kind int, levels []int32, rights []Right) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version++
	p := &f.ahead[kind]
	p.to = levels[len(levels)-1]
	p.rights = append(p.rights, pack(rights)...)
	slices.SortStableFunc(p.rights, func(a, b kept) int { return cmp.Compare(a.level, b.level) })
}

// settle reads the levels that became final.
func (f *Follower) settle(ctx context.Context, keys []Key, head int32) error {
	pkhs := Signers(keys, 0)
	for range levelsPerHead {
		level, rights, ok := f.next(head)
		if !ok {
			return nil
		}
		past, err := Outcomes(ctx, f.cfg.Reader, pkhs, level, rights)
		if err != nil {
			return err
		}
		f.keep(level, past)
	}
	return nil
}

// next is the next final level with its rights.
func (f *Follower) next(head int32) (level int32, rights []Right, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	level = f.settled + 1
	if settledBy(level) > head || level > f.ahead[0].to || level > f.ahead[1].to {
		return 0, nil, false
	}
	for _, p := range f.ahead {
		rights = append(rights, p.at(level)...)
	}
	return level, rights, true
}

func (p plan) at(level int32) (out []Right) {
	for _, k := range p.rights[firstAt(p.rights, level):] {
		if k.level != level {
			break
		}
		out = append(out, k.right())
	}
	return out
}

// keep adds the outcomes of a level, and lets the oldest levels go.
func (f *Follower) keep(level int32, past []Past) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settled = level
	f.keepPast(past)
	f.from = max(f.from, level-Levels+1)
	if over := len(f.past) - maxPast; over > 0 {
		f.from = max(f.from, f.past[over-1].level+1) // whole levels
	}
	f.forget(f.from)
}

// Outcomes gives the outcomes on chain of the rights at a final level. A level without rights costs no question. Blocks
// that the node does not have any more, or describes in an unusable way, give unknown outcomes and no error.
func Outcomes(
	ctx context.Context, r *chain.Reader, keys []tezos.PublicKeyHash, level int32, rights []Right,
) ([]Past, error) {
	if len(rights) == 0 {
		return nil, nil
	}
	attest := slices.ContainsFunc(rights, func(r Right) bool { return r.Kind == tezos.Attestation })
	of, err := r.Final(ctx, level, keys)
	var after chain.Block
	if err == nil && attest {
		after, err = r.Final(ctx, level+1, keys)
	}
	unknown := errors.Is(err, node.ErrNotFound) || errors.Is(err, node.ErrAnswer)
	if err != nil && !unknown {
		return nil, err
	}
	out := make([]Past, 0, len(rights))
	for _, right := range rights {
		if unknown {
			out = append(out, Past{Right: right, Chain: -1})
		} else {
			out = append(out, Judge(right, of, after))
		}
	}
	return out, nil
}
