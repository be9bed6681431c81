// Package failover is the protocol between two instances of one signer: who may sign, how the right moves from one to the other,
// and why no crash, loss, delay or restart between them makes two signers.
//
// The rules are in rules.go, release.go and accept.go; docs/failover-theory.md explains them, and model/ checks them.
package failover

import (
	"context"
	"crypto"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/signer"
)

// Store is what a node keeps: marks and role, the other instance's name, and its own key.
type Store interface {
	signer.Store
	Peer() (hwm.Peer, bool)
	SetPeer(p *hwm.Peer) error
	Identity() crypto.Signer
	// Known are all marks as they are in memory, also when nothing can be made durable any more.
	Known() []hwm.Row
}

// Link carries questions to the other instance. An error is a *Refusal when the other side, or the way to it, is wrong for good.
type Link interface {
	// Call asks, and waits for the answer as long as ctx lets it.
	Call(ctx context.Context, peer hwm.Peer, verb string, q wire.Question) (wire.Answer, error)
	// Follow calls each for every report of marks, until ctx or the connection ends.
	Follow(ctx context.Context, peer hwm.Peer, q wire.Question, each func(wire.Answer) error) error
}

// Config is what a node is made of.
type Config struct {
	Signer *signer.Signer // made with Hold when there is a peer
	Store  Store
	Link   Link  // nil: TLS, with the store's identity
	Chain  Chain // nil: no octez node is configured
	Log    *slog.Logger
	Now    func() time.Time
	Build  string
	Every  time.Duration // how often the other instance is asked; zero: a second
	// Offline says that this process is no daemon: the node answers for one command, and nobody signs here meanwhile.
	Offline bool
}

// Node is this instance's side of the protocol. It is safe for concurrent use.
type Node struct {
	signer  *signer.Signer
	store   Store
	link    Link
	server  *wire.Server
	heads   Heads
	log     *slog.Logger
	now     func() time.Time
	build   string
	every   time.Duration
	offline bool         // no daemon runs
	life    string       // of this process
	count   wire.Counter // of what happens in it, see life.go

	// act makes the steps of the protocol one at a time. Nobody holds it while waiting for the network.
	act        sync.Mutex
	activating atomic.Int32  // operators who activate this instance now; counted before the other one is asked
	given      atomic.Uint64 // certificates that left
	margin     atomic.Int32  // of the takeover of this process, for the guard; zero: none
	busy       atomic.Bool   // a handover is under way
	kick       chan struct{}
	stopped    chan struct{} // closed when Run ends
	pulse      pulse
	waking     sync.Mutex // one asks after a standstill, the others wait for it

	mu      sync.Mutex
	nonces  map[string]asked // questions of this process that wait for an answer
	lives   lives            // of the other instance
	said    *wire.Answer     // what the other instance said last
	heardAt time.Time
	asked   bool
	lastErr error // of the last attempt to ask it
	skew    time.Duration
	rtt     time.Duration // of the last answer
	follow  followState
	stated  *statement // of an operator who waits for evidence
	alarmed string     // the last alarm: said once
}

type followState struct {
	connected bool
	at        time.Time
}

// New makes a node. It answers at once; Run makes it ask.
func New(cfg Config) *Node {
	n := &Node{
		signer: cfg.Signer, store: cfg.Store, link: cfg.Link, log: cfg.Log, now: cfg.Now, build: cfg.Build,
		every: cfg.Every, kick: make(chan struct{}, 1), stopped: make(chan struct{}), nonces: map[string]asked{}, life: wire.NewLife(),
		offline: cfg.Offline,
	}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	n.log = n.signer.Lines().Logger(n.log)
	if n.now == nil {
		n.now = time.Now
	}
	if n.every == 0 {
		n.every = time.Second
	}
	if n.link == nil {
		n.link = wire.NewClient(cfg.Store.Identity())
	}
	n.heads.Chain, n.heads.id, n.heads.now, n.heads.log = cfg.Chain, cfg.Signer.Chain(), n.now, n.log
	n.server = n.newServer()
	if _, paired := n.store.Peer(); paired {
		n.explain(nil)
	}
	return n
}

// Heads is what is known of the chain's head.
func (n *Node) Heads() *Heads { return &n.heads }

// Me is this instance.
func (n *Node) Me() hwm.InstanceID { return n.store.Instance() }

// askTimeout bounds one question; a release may have to wait for a device first.
const (
	askTimeout     = 2 * time.Second
	releaseTimeout = signer.DrainTimeout + 3*time.Second
)

// Run asks the other instance for as long as ctx lives: whether this one may resume, whether it knows anything newer, and for its
// marks.
func (n *Node) Run(ctx context.Context) {
	defer close(n.stopped)
	n.boot(ctx)
	var loops sync.WaitGroup
	loops.Go(func() { n.loop(ctx, n.kick, n.beat) })
	loops.Go(func() { n.loop(ctx, nil, n.followOnce) })
	loops.Go(func() { n.loop(ctx, nil, n.beats) })
	loops.Wait()
}

func (n *Node) loop(ctx context.Context, kick <-chan struct{}, step func(context.Context)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-kick:
		case <-timer.C:
		}
		step(ctx)
		timer.Reset(n.every)
	}
}

// begin begins a step. What the step has to log, and the signer in it, waits until end: nobody waits for a log with the lock in hand.
func (n *Node) begin() {
	n.act.Lock()
	n.signer.Lines().Hold()
}

func (n *Node) end() {
	n.act.Unlock()
	n.signer.Lines().Release()
}

// Poke makes the node ask now rather than at its next turn.
func (n *Node) Poke() {
	select {
	case n.kick <- struct{}{}:
	default:
	}
}

// boot settles what a start finds: an instance that was only signing up to its ceilings is on standby after a restart.
func (n *Node) boot(ctx context.Context) {
	n.begin()
	defer n.end()
	if err := n.settle(ctx); err != nil {
		n.log.Error("role not settled", "error", err)
	}
}

func (n *Node) settle(ctx context.Context) error {
	mine := n.store.Role()
	if mine.Role != hwm.Active || mine.Owner == n.Me() || n.signer.Active() {
		return nil
	}
	mine.Role, mine.Why = hwm.Standby, "restarted after signing was given to "+mine.Owner.Short()+" from a level on"
	_, err := n.signer.Become(context.WithoutCancel(ctx), mine, nil)
	return err
}

// beat asks once.
func (n *Node) beat(ctx context.Context) {
	peer, ok := n.store.Peer()
	if !ok {
		return
	}
	n.heads.tell(ctx)
	if _, err := n.Ask(ctx); err != nil && ctx.Err() == nil {
		n.log.Debug("the other instance did not answer", "peer", peer.Address, "error", err)
	}
}

// raiseAlarm says an alarm of the pair once.
func (n *Node) raiseAlarm(name signer.AlarmName, text, hint string) {
	n.mu.Lock()
	again := n.alarmed == text
	n.alarmed = text
	n.mu.Unlock()
	if !again {
		n.signer.RaiseAlarm(name, "the other instance", "", text, hint)
	}
}
