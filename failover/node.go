// Package failover is the protocol between two instances of one signer. It says which of the two may sign, how the
// right moves, and why no crash, loss, delay or restart between the two makes two signers.
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

	"highwater/failover/heard"
	"highwater/failover/keys"
	"highwater/failover/marks"
	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/loghead"
	"highwater/signer"
)

// Store keeps the marks and the role, the peer's name, and the instance key.
type Store interface {
	signer.Store
	Peer() (hwm.Peer, bool)
	SetPeer(p *hwm.Peer) error
	Identity() crypto.Signer
	// Known gives all marks of the memory, also after the disk has failed.
	Known() []hwm.Row
}

// Link carries questions to the peer. An error is a *Refusal when the peer, or the way to the peer, is wrong for good.
type Link interface {
	// Call asks, and waits for the answer as long as ctx allows.
	Call(ctx context.Context, peer hwm.Peer, verb string, q wire.Question) (wire.Answer, error)
	// Follow calls each for every report of marks, until ctx or the connection ends.
	Follow(ctx context.Context, peer hwm.Peer, q wire.Question, each func(wire.Answer) error) error
}

// Config holds the parts of a node.
type Config struct {
	Signer *signer.Signer // made with Hold when a peer is named
	Store  Store
	Link   Link        // nil: TLS, with the store's identity
	Chain  heard.Chain // nil: no octez node is configured
	Log    *slog.Logger
	Now    func() time.Time
	Build  string
	// AuditHead gives the head of the audit log, within a bound; null: none. May be nil.
	AuditHead func(ctx context.Context) *loghead.Head
	// Accepted is told of each certificate that gave the right to here, and does not wait. May be nil.
	Accepted func(c *wire.Certificate)
	Every    time.Duration // the time between two questions to the peer; zero: a second
	// Offline: no daemon runs. The node answers for a single command, and nobody signs here meanwhile.
	Offline bool
}

// Node is one instance's side of the protocol. Node is safe for concurrent use.
//
// Locks. act makes the steps of the protocol one at a time: begin takes act, end lets it go, and everything that reads
// the role to change it stands between the two. Nobody holds act while waiting for the network or for a log; a release
// waits up to a quarter of a second for the head of the audit log, after the end of signing. waking is
// held around a question, which takes act: waking first, act second. The small types below lock themselves, or are
// atomic. Their locks are leaves: a holder calls nothing. marks, keys and epochs have no state and no lock.
type Node struct {
	signer  *signer.Signer
	store   Store
	link    Link
	server  *wire.Server
	log     *slog.Logger
	now     func() time.Time
	build   string
	every   time.Duration
	offline bool // no daemon runs

	auditHead func(context.Context) *loghead.Head // may be nil
	accepted  func(*wire.Certificate)             // may be nil

	life  string       // of this process
	count wire.Counter // of the events in the process, see heard.Lives

	marks  marks.Here
	keys   keys.Here
	epochs epochs

	act    sync.Mutex
	waking sync.Mutex // the first signature after a standstill asks, the rest wait for the answer

	heads     heard.Heads     // the newest head of our node
	heard     heard.Peer      // the peer's last answer
	lives     heard.Lives     // the peer's processes
	questions heard.Questions // without an answer yet
	stated    statement       // of an operator waiting for evidence
	alarmed   lastAlarm       // of the pair
	pulse     heard.Pulse

	activating atomic.Int32  // operators in the middle of an activation; counted before the peer is asked
	given      atomic.Uint64 // certificates given away
	margin     atomic.Int32  // of this process's takeover, for the guard; zero: none
	busy       atomic.Bool   // a handover is under way

	kick    chan struct{}
	stopped chan struct{} // closed when Run ends
}

// New makes a node. The node answers at once; Run starts the node's own questions.
func New(cfg Config) *Node {
	n := &Node{
		signer: cfg.Signer, store: cfg.Store, link: cfg.Link, log: cfg.Log, now: cfg.Now, build: cfg.Build, every: cfg.Every,
		kick: make(chan struct{}, 1), stopped: make(chan struct{}), life: wire.NewLife(), offline: cfg.Offline,
		auditHead: cfg.AuditHead, accepted: cfg.Accepted,
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
	n.marks, n.keys = marks.Here{Store: n.store, Signer: n.signer, Now: n.now}, keys.Here{Signer: n.signer}
	n.epochs = epochs{n.store, &n.heard, n.log}
	n.heads.Chain, n.heads.ID, n.heads.Timeout = cfg.Chain, cfg.Signer.Chain(), askTimeout
	n.heads.Now, n.heads.Log = n.now, n.log
	n.lives.Count, n.questions.Count = &n.count, &n.count
	n.server = n.newServer()
	if _, paired := n.store.Peer(); paired {
		n.explain(nil)
	}
	return n
}

// Heads keeps the newest head of the chain.
func (n *Node) Heads() *heard.Heads { return &n.heads }

// Me is this instance.
func (n *Node) Me() hwm.InstanceID { return n.store.Instance() }

// askTimeout bounds a question; a release may have to wait for a device first.
const (
	askTimeout     = 2 * time.Second
	releaseTimeout = signer.DrainTimeout + 3*time.Second
)

// Run asks the peer for as long as ctx lives: for leave to resume, for newer epochs, and for marks.
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

// begin begins a step of the protocol. The log lines of the step, and of the signer in the step, wait until end.
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

// boot settles the role after a start: an instance that signed up to ceilings is on standby after a restart.
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
	n.heads.Tell(ctx)
	if _, err := n.Ask(ctx); err != nil && ctx.Err() == nil {
		n.log.Debug("the peer did not answer", "peer", peer.Address, "error", err)
	}
}

// lastAlarm is the text of the last alarm of the pair.
type lastAlarm struct {
	mu   sync.Mutex
	text string
}

// news tells whether the text is a new text.
func (a *lastAlarm) news(text string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	again := a.text == text
	a.text = text
	return !again
}

// raiseAlarm raises an alarm of the pair once.
func (n *Node) raiseAlarm(name signer.AlarmName, text, hint string) {
	if n.alarmed.news(text) {
		n.signer.RaiseAlarm(name, marks.Witness, "", text, hint)
	}
}
