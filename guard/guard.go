// Package guard watches the chain for signatures of our own keys that this instance did not make. Such a signature
// means a second signer alive with the same key; the only safe answer is to stop.
//
// Our own signatures are known from three sources: the durable marks (nothing above them was ever signed here), the
// memory of this process (the latest signatures, by place and digest), and the marks from the time when the instance
// became active, or the process started (at or below those marks others may have signed before us, and so may we). A
// signature that the three do not settle raises no alarm.
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
	// CatchUp is how many blocks are looked at, back from a head: at the start, after a lost connection, after a
	// reorganisation.
	CatchUp = chain.Window
	// Grace is how many levels above the known levels a signer may have signed before its death at a takeover: the next
	// level.
	Grace = 1
	// seenKept bounds the blocks that are remembered as looked at.
	seenKept = 4 * CatchUp
	// MaxHeadAge is the age, by this machine's clock, of a head that still shows the signatures of now: some thirty
	// blocks of any network.
	MaxHeadAge = 5 * time.Minute
	// trustedKept bounds the forms of operations that are trusted.
	trustedKept = 64
)

// Marks are the durable marks; a signer.Store has them.
type Marks interface {
	State(key hwm.Key) (hwm.State, error)
}

// Key is a key of ours. Public may be nil while no device has offered the key; less can be proven in this case.
type Key struct {
	PKH    tezos.PublicKeyHash
	Public *tezos.PublicKey
	// Kinds are the kinds that the key may sign here; empty: all. Other kinds are another signer's to sign, and raise no
	// alarm.
	Kinds []tezos.Kind
}

// Config holds the parts of a guard.
type Config struct {
	Reader *chain.Reader
	Chain  tezos.ChainID // of the reader
	Keys   func() []Key
	Marks  Marks
	Memory *Memory
	// Role is the role; Active means that requests are let in. A restarted owner that waits for the peer's answer is not
	// Active: the peer may sign meanwhile.
	Role func() hwm.RoleRecord
	// Alarm is called once for an epoch, from Run's goroutine, and at most once more for a doubtful finding. Alarm should
	// fence the instance if its epoch still is Finding.Epoch and the finding is not doubtful. ctx is Run's own.
	Alarm func(ctx context.Context, f Finding)
	// Margin is how many levels a takeover adds to the highest of head, marks and last own operation to get its floors
	// (hwm.SourceTakeover). Inside the margin nobody may sign, neither the peer nor we: a twin shows before we sign at
	// all. Zero: the margin is not looked at.
	Margin func() int32
	// Head is told each head, also while nothing is watched; may be nil. Head must not wait.
	Head func(h node.Header)
	Idle time.Duration // see node.Watcher
	Log  *slog.Logger  // may be nil
	Now  func() time.Time
}

// Guard watches while the role is active. New makes a guard, and Run runs as long as the process.
type Guard struct {
	cfg  Config
	kick chan struct{}

	// The fields of Run's goroutine.
	watching bool
	epoch    uint64                   // the epoch watched last
	alarmed  bool                     // in this epoch
	doubted  bool                     // in this epoch
	base     map[hwm.Key]hwm.Position // marks at or below: not only ours
	seen     []tezos.Hash32           // blocks looked at, the latest last
	trusted  []string                 // forms whose signed bytes we build right

	mu     sync.Mutex
	status Status
}

// Status is the state of the guard.
type Status struct {
	Watching bool        // the role is active, and the last block could be looked at
	Head     node.Header // the last head looked at
	At       time.Time   // of the look; zero before the first
	Err      error       // why the guard is blind; nil while the guard sees
	Since    time.Time   // blind since; zero while the guard sees
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

// Poke makes the guard look now: the role changed. Poke does not wait.
func (g *Guard) Poke() {
	select {
	case g.kick <- struct{}{}:
	default:
	}
}

// news is a message of the stream of heads: a head, or the reason of its absence.
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

// loop looks at each head, and once more at the last head after a Poke.
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

// head looks at a new head, and at the blocks between the new head and the last look. Unread blocks are tried again
// with the next head.
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
	if age := g.cfg.Now().Sub(h.Timestamp); age > MaxHeadAge { // the head does not show the signatures of now
		g.stale(h, age)
		return
	}
	active := g.cfg.Role().Role == hwm.Active // the instance may have fenced itself
	g.update(func(s *Status) { *s = Status{Watching: active, Head: h, At: g.cfg.Now(), Finding: s.Finding} })
}

// StaleError says that the newest block of the node is too old to show the signatures of now.
type StaleError struct {
	Level int32
	Age   time.Duration
}

func (e *StaleError) Error() string {
	return fmt.Sprintf("the node's head, level %d, is %s old", e.Level, e.Age.Round(time.Minute))
}

// HintText is the way out.
func (e *StaleError) HintText() string {
	return "the node is behind (octez-client bootstrapped), the chain stands still, or the clock of this machine is " +
		"wrong (timedatectl)"
}

// stale makes the guard blind for the chain of now: the head was looked at, and is old.
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
			failed = err // the same tomorrow; the later blocks matter more
		case err != nil:
			return err
		}
		g.remember(b.Hash)
	}
	return failed
}

// rebase begins to watch an epoch, or keys that were not known before: the marks of now bound the signatures of
// others.
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

// since gives the blocks from the last block looked at up to h, the oldest first.
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
