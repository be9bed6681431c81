// Package guard watches the chain for what one of our own keys signed and this instance did not. Such a signature says
// that a second signer is alive with the same key; the only safe answer is to stop.
//
// What is ours is known from three things: the durable marks (nothing above them was ever signed here), the memory of
// this process (what it signed of late, by place and digest), and the marks as they were when the instance became
// active, or the process started (at or below them others may have signed before us, and so may we). What they do not
// settle is no alarm.
package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"highwater/hwm"
	"highwater/internal/chain"
	"highwater/internal/node"
	"highwater/internal/tezos"
)

const (
	// CatchUp is how many blocks are looked at, back from a head, at the start, after a lost connection or a
	// reorganisation.
	CatchUp = chain.Window
	// Grace is how many levels above what was known at a takeover a signer may have signed before it died: the next one.
	Grace = 1
	// seenKept bounds the blocks that are known to have been looked at.
	seenKept = 4 * CatchUp
	// MaxHeadAge is that of a head, by this machine's clock, that still shows what is signed now: some thirty blocks of
	// any network.
	MaxHeadAge = 5 * time.Minute
	// trustedKept bounds the forms of operations that are trusted.
	trustedKept = 64
)

// Marks are the durable marks; signer.Store has them.
type Marks interface {
	State(key hwm.Key) (hwm.State, error)
}

// Key is one of our keys. Public may be nil while no device has offered it; then less can be proven.
type Key struct {
	PKH    tezos.PublicKeyHash
	Public *tezos.PublicKey
	// Kinds are what it may sign here; empty: all. What it may not is somebody else's to sign, and no alarm.
	Kinds []tezos.Kind
}

// Config is what a guard is made of.
type Config struct {
	Reader *chain.Reader
	Chain  tezos.ChainID // the reader's
	Keys   func() []Key
	Marks  Marks
	Memory *Memory
	// Role is the role, and Active in it says that requests are let in: an owner that was restarted and waits for the
	// other instance's word is not. While it waits the other one may sign.
	Role func() hwm.RoleRecord
	// Alarm is called once for an epoch, from Run's goroutine, and once more at most for a finding that is doubtful. It
	// should fence the instance if its epoch still is Finding.Epoch and the finding is not doubtful. ctx is Run's own.
	Alarm func(ctx context.Context, f Finding)
	// Margin is what a takeover adds to the highest of head, marks and last own operation to get its floors
	// (hwm.SourceTakeover). Inside it nobody may sign, neither the other side nor we, so that a twin shows before we sign
	// at all. Zero: not looked at.
	Margin func() int32
	// Head is told each head as it comes, also while nothing is watched; may be nil. It must not wait.
	Head func(h node.Header)
	Idle time.Duration // see node.Watcher
	Log  *slog.Logger  // may be nil
	Now  func() time.Time
}

// Guard watches while the role is active. Make it with New, and let Run run as long as the process.
type Guard struct {
	cfg  Config
	kick chan struct{}

	// These belong to Run's goroutine.
	watching bool
	epoch    uint64                   // that was watched last
	alarmed  bool                     // in this epoch
	doubted  bool                     // in this epoch
	base     map[hwm.Key]hwm.Position // at or below: not only ours
	seen     []tezos.Hash32           // blocks looked at, the latest last
	trusted  []string                 // forms whose bytes we build as they were signed

	mu     sync.Mutex
	status Status
}

// Status is how the guard does.
type Status struct {
	Watching bool        // the role is active, and the last block could be looked at
	Head     node.Header // looked at last
	At       time.Time   // when; zero before the first
	Err      error       // why the guard is blind; nil when it is not
	Since    time.Time   // blind since; zero when it is not
	Finding  *Finding    // of this epoch
}

// New makes a guard. Nothing is watched before Run.
func New(cfg Config) *Guard {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Head == nil {
		cfg.Head = func(node.Header) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Guard{cfg: cfg, kick: make(chan struct{}, 1)}
}

// Status tells how the guard does.
func (g *Guard) Status() Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.status
}

func (g *Guard) update(f func(*Status)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f(&g.status)
}

// Poke makes the guard look now: the role changed. It does not wait.
func (g *Guard) Poke() {
	select {
	case g.kick <- struct{}{}:
	default:
	}
}

// news is what the stream of heads says: a head, or why there is none.
type news struct {
	head node.Header
	err  error
}

// Run watches until ctx ends.
func (g *Guard) Run(ctx context.Context) {
	heard := make(chan news)
	tell := func(n news) {
		select {
		case heard <- n:
		case <-ctx.Done():
		}
	}
	w := g.cfg.Reader.Watcher()
	w.Idle = g.cfg.Idle
	w.Down = func(err error) { tell(news{err: err}) }
	w.Head = func(_ context.Context, h node.Header) {
		g.cfg.Head(h)
		tell(news{head: h})
	}
	var watcher sync.WaitGroup
	watcher.Go(func() { w.Run(ctx) })
	defer watcher.Wait()
	g.loop(ctx, heard)
}

// loop looks at each head as it comes, and once more at the last one when it is poked.
func (g *Guard) loop(ctx context.Context, heard <-chan news) {
	var last *news
	for {
		select {
		case n := <-heard:
			last = &n
		case <-g.kick:
		case <-ctx.Done():
			return
		}
		switch {
		case last == nil:
		case last.err != nil:
			g.blind(last.err)
		default:
			g.head(ctx, last.head)
		}
	}
}

func (g *Guard) blind(err error) { g.update(func(s *Status) { s.blind(g.cfg.Now(), err) }) }

func (s *Status) blind(now time.Time, err error) {
	if s.Err == nil {
		s.Since = now
	}
	s.Watching, s.Err = false, err
}

// head looks at a new head, and at what lies between it and what was looked at before. What could not be read is tried
// again with the next head.
func (g *Guard) head(ctx context.Context, h node.Header) {
	role := g.cfg.Role()
	if role.Role != hwm.Active {
		g.watching = false
		g.update(func(s *Status) { *s = Status{Head: h, At: g.cfg.Now(), Finding: s.Finding} })
		return
	}
	err := g.look(ctx, role, h)
	if err != nil {
		if ctx.Err() == nil {
			g.cfg.Log.Error("the guard cannot see", "level", h.Level, "error", err.Error())
		}
		g.blind(err)
		return
	}
	if age := g.cfg.Now().Sub(h.Timestamp); age > MaxHeadAge { // what is signed now, it does not see
		g.stale(h, age)
		return
	}
	active := g.cfg.Role().Role == hwm.Active // it may have fenced itself
	g.update(func(s *Status) { *s = Status{Watching: active, Head: h, At: g.cfg.Now(), Finding: s.Finding} })
}

// StaleError says that the newest block that the node knows is too old to show what is signed now.
type StaleError struct {
	Level int32
	Age   time.Duration
}

func (e *StaleError) Error() string {
	return fmt.Sprintf("the node's head, level %d, is %s old", e.Level, e.Age.Round(time.Minute))
}

// HintText is what to do.
func (e *StaleError) HintText() string {
	return "the node is behind (octez-client bootstrapped), the chain stands still, or the clock of this machine is wrong (timedatectl)"
}

// stale is blind for what the chain has now: the head was looked at, and is old.
func (g *Guard) stale(h node.Header, age time.Duration) {
	err := &StaleError{h.Level, age}
	if g.Status().Err == nil {
		g.cfg.Log.Error("the guard is blind", "level", h.Level, "error", err.Error())
	}
	g.update(func(s *Status) {
		s.Head, s.At = h, g.cfg.Now()
		s.blind(s.At, err)
	})
}

func (g *Guard) look(ctx context.Context, role hwm.RoleRecord, h node.Header) error {
	if err := g.rebase(role.Epoch); err != nil {
		return err
	}
	blocks, err := g.since(ctx, h)
	if err != nil {
		return err
	}
	var failed error
	for _, b := range blocks {
		switch err := g.examine(ctx, b); {
		case errors.Is(err, node.ErrAnswer) || errors.Is(err, node.ErrNotFound):
			failed = err // the same tomorrow; the blocks after it matter more
		case err != nil:
			return err
		}
		g.remember(b.Hash)
	}
	return failed
}

// rebase begins to watch an epoch, or keys that were not known before: what others may have signed is bounded by the
// marks as they are now.
func (g *Guard) rebase(epoch uint64) error {
	base := map[hwm.Key]hwm.Position{}
	if g.watching && epoch == g.epoch {
		base = g.base
	}
	for _, k := range g.cfg.Keys() {
		for _, key := range hwm.KeysOf(g.cfg.Chain, k.PKH) {
			if _, ok := base[key]; ok {
				continue
			}
			at, ok, err := g.baseOf(key)
			if err != nil {
				return err
			}
			if ok {
				base[key] = at
			}
		}
	}
	if epoch != g.epoch {
		g.alarmed, g.doubted = false, false
		g.update(func(s *Status) { s.Finding = nil })
	}
	g.base, g.epoch, g.watching = base, epoch, true
	return nil
}

func (g *Guard) baseOf(key hwm.Key) (at hwm.Position, ok bool, err error) {
	state, err := g.cfg.Marks.State(key)
	if err != nil || state.Mark == nil {
		return hwm.Position{}, false, err
	}
	at = state.Mark.Position
	if margin := g.cfg.Margin(); state.Mark.Source == hwm.SourceTakeover && margin > Grace {
		at.Level -= min(at.Level, margin-Grace)
	}
	return at, true, nil
}

// since gives the blocks from the last that was looked at up to h, the oldest first.
func (g *Guard) since(ctx context.Context, h node.Header) ([]node.Header, error) {
	var out []node.Header
	for b, err := range g.cfg.Reader.Back(ctx, h) {
		if errors.Is(err, node.ErrNotFound) || errors.Is(err, node.ErrAnswer) {
			break // the node was started from a snapshot
		}
		if err != nil {
			return nil, fmt.Errorf("the block before level %d: %w", out[len(out)-1].Level, err)
		}
		if slices.Contains(g.seen, b.Hash) {
			break
		}
		out = append(out, b)
		if len(out) == CatchUp {
			if len(g.seen) > 0 {
				g.cfg.Log.Warn("the guard was away: older blocks are not looked at", "level", b.Level)
			}
			break
		}
	}
	slices.Reverse(out)
	return out, nil
}

func (g *Guard) remember(block tezos.Hash32) {
	g.seen = append(g.seen, block)
	if len(g.seen) > seenKept {
		g.seen = slices.Delete(g.seen, 0, 1)
	}
}
