// Package failover is the protocol between two instances of one signer: who may sign, how the right moves from one to the other,
// and why no crash, loss, delay or restart between them makes two signers.
//
// The rules are in rules.go; docs/failover.md explains them to operators, and model/ checks them.
package failover

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/signer"
)

// Store is what a node keeps: marks and role, the other instance's name, and its own key.
type Store interface {
	signer.Store
	Peer() (hwm.Peer, bool)
	SetPeer(p *hwm.Peer) error
	Identity() crypto.Signer
}

// Link carries questions to the other instance. An error is a *Refusal when the other side, or the way to it, is wrong for good.
type Link interface {
	// Call asks, and waits for the answer as long as ctx lets it.
	Call(ctx context.Context, peer hwm.Peer, verb string, q Question) (Answer, error)
	// Follow calls each for every report of marks, until ctx or the connection ends.
	Follow(ctx context.Context, peer hwm.Peer, q Question, each func(Answer) error) error
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
	Alarm  func(text string) // told of what a person must look at; may be nil; it must not wait
	Every  time.Duration     // how often the other instance is asked; zero: a second
}

// Node is this instance's side of the protocol. It is safe for concurrent use.
type Node struct {
	signer *signer.Signer
	store  Store
	link   Link
	chain  Chain
	log    *slog.Logger
	now    func() time.Time
	build  string
	alarm  func(string)
	every  time.Duration

	// act makes the steps of the protocol one at a time. Nobody holds it while waiting for the network.
	act        sync.Mutex
	activating atomic.Bool // an operator activates this instance; set before the other one is asked
	busy       atomic.Bool // a handover is under way
	head       atomic.Pointer[int32]
	kick       chan struct{}
	stopped    chan struct{} // closed when Run ends

	mu      sync.Mutex
	nonces  map[string]string // questions of this process that wait for an answer: nonce, verb
	said    *Answer           // what the other instance said last
	heardAt time.Time
	asked   bool
	lastErr error // of the last attempt to ask it
	skew    time.Duration
	follow  followState
	alarmed string // the last alarm: said once
}

type followState struct {
	connected bool
	at        time.Time
}

// New makes a node. It answers at once; Run makes it ask.
func New(cfg Config) *Node {
	n := &Node{
		signer: cfg.Signer, store: cfg.Store, link: cfg.Link, chain: cfg.Chain, log: cfg.Log, now: cfg.Now, build: cfg.Build,
		alarm: cfg.Alarm, every: cfg.Every, kick: make(chan struct{}, 1), stopped: make(chan struct{}), nonces: map[string]string{},
	}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if n.now == nil {
		n.now = time.Now
	}
	if n.alarm == nil {
		n.alarm = func(string) {}
	}
	if n.every == 0 {
		n.every = time.Second
	}
	if n.link == nil {
		n.link = newTLSLink(cfg.Store.Identity())
	}
	if _, paired := n.store.Peer(); paired {
		n.explain(nil)
	}
	return n
}

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

// Poke makes the node ask now rather than at its next turn.
func (n *Node) Poke() {
	select {
	case n.kick <- struct{}{}:
	default:
	}
}

func (n *Node) ended() <-chan struct{} { return n.stopped }

// boot settles what a start finds: an instance that was only signing up to its ceilings is on standby after a restart.
func (n *Node) boot(ctx context.Context) {
	n.act.Lock()
	defer n.act.Unlock()
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
	n.lookAtHead(ctx)
	if _, err := n.Ask(ctx); err != nil && ctx.Err() == nil {
		n.log.Debug("the other instance did not answer", "peer", peer.Address, "error", err)
	}
}

// lookAtHead keeps what our octez node says, for the other side's checklists.
func (n *Node) lookAtHead(ctx context.Context) {
	if n.chain == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	h, err := n.chain.Head(ctx)
	if err != nil || h.Chain != n.signer.Chain() {
		n.head.Store(nil)
		return
	}
	n.head.Store(&h.Level)
}

// Ask asks the other instance for its status and does what follows from the answer. The error is a *Refusal when it says no.
func (n *Node) Ask(ctx context.Context) (Answer, error) {
	peer, ok := n.store.Peer()
	if !ok {
		return Answer{}, errNoPeer()
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	nonce := n.newNonce(verbStatus)
	defer n.forget(nonce)
	start := n.now()
	a, err := n.link.Call(ctx, peer, verbStatus, n.question(peer, nonce))
	if err == nil {
		err = n.onStatus(ctx, a)
	}
	n.noted(a, start, err)
	return a, err
}

func errNoPeer() *Refusal {
	return refuse(NoPeer, "highwater peer add ADDRESS KEY", "no other instance is configured")
}

// maxSkew is the difference of clocks that is worth a warning.
const maxSkew = 5 * time.Second

// noted keeps what came of a question, for the status and for what clients are told.
func (n *Node) noted(a Answer, start time.Time, err error) {
	n.mu.Lock()
	first := !n.asked || (err == nil) != (n.lastErr == nil)
	n.asked, n.lastErr = true, err
	if err == nil || a.From != (hwm.InstanceID{}) {
		now := n.now()
		n.said, n.heardAt = &a, now
		n.skew = a.Now.Sub(start.Add(now.Sub(start) / 2))
	}
	skew := n.skew
	n.mu.Unlock()
	switch {
	case err != nil && first:
		n.log.Warn("the other instance is not heard", "error", err)
	case err == nil && first:
		n.log.Info("the other instance is heard", "role", a.Role.String(), "epoch", a.Epoch, "signing", a.Signing)
		if skew.Abs() > maxSkew {
			n.log.Warn("the clocks of the two instances differ", "skew_ms", skew.Milliseconds())
		}
	}
	n.explain(err)
}

// explain tells clients why an active instance does not sign yet.
func (n *Node) explain(err error) {
	text := "this instance was restarted and asks the other one whether it may still sign"
	if err != nil {
		text += "; no answer so far: " + err.Error()
	}
	n.signer.Explain(text, "when the other instance is gone for good: highwater takeover")
}

// raise says an alarm once.
func (n *Node) raiseAlarm(text string) {
	n.mu.Lock()
	again := n.alarmed == text
	n.alarmed = text
	n.mu.Unlock()
	if !again {
		n.log.Error("alarm", "alarm", text)
		n.alarm(text)
	}
}

// Fence ends signing for good, until an operator's deliberate act: another signer of our keys was seen.
func (n *Node) Fence(ctx context.Context, why string) (hwm.RoleRecord, error) {
	n.act.Lock()
	defer n.act.Unlock()
	n.raiseAlarm("fenced: " + why)
	return n.signer.Stand(context.WithoutCancel(ctx), hwm.Fenced, why)
}

func (n *Node) hello() Hello {
	r := n.store.Role()
	return Hello{
		Protocol: Protocol, Chain: n.signer.Chain(), From: n.Me(), Role: r.Role, Epoch: r.Epoch, Owner: r.Owner,
		Signing: n.signer.Active(), Now: n.now().UTC(),
	}
}

func (n *Node) question(peer hwm.Peer, nonce string) Question {
	return Question{Hello: n.hello(), To: peer.Key, Nonce: nonce}
}

// newNonce makes the name of a question. Names die with the process: an answer to an earlier life's question is no answer.
func (n *Node) newNonce(verb string) string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // it never fails
	nonce := hex.EncodeToString(b)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nonces[nonce] = verb
	return nonce
}

func (n *Node) forget(nonce string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.nonces, nonce)
}

// spend tells whether a question of this kind waits for this answer; it waits no longer.
func (n *Node) spend(nonce, verb string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	fresh := nonce != "" && n.nonces[nonce] == verb
	delete(n.nonces, nonce)
	return fresh
}

// forgetAll makes every answer under way an old one.
func (n *Node) forgetAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.nonces)
}

// check sees that a message is from the other instance, to this one, and of our chain.
func (n *Node) check(h Hello) (hwm.Peer, error) {
	peer, ok := n.store.Peer()
	switch {
	case !ok:
		return peer, errNoPeer()
	case h.Protocol != Protocol:
		return peer, refuse(WrongVersion, "run the same version of highwater on both machines",
			"the other instance speaks version %d of the protocol, this one version %d", h.Protocol, Protocol)
	case h.Chain != n.signer.Chain():
		return peer, refuse(WrongChain, "compare `chain` in the two configurations",
			"the other instance signs for %s, this one for %s", h.Chain, n.signer.Chain())
	case h.From != peer.Key:
		return peer, refuse(WrongKey, "compare with: highwater peer show, on the other machine",
			"the message is of %s, and the other instance is %s", h.From, peer.Key)
	}
	return peer, nil
}

// durableMarks are all marks of our chain, as they are on disk by now.
func (n *Node) durableMarks() ([]Mark, error) {
	rows, err := n.store.Rows()
	if err != nil {
		return nil, err
	}
	if _, err := n.store.Raise(nil); err != nil { // returns when all that is in memory is durable
		return nil, err
	}
	marks := []Mark{}
	for _, r := range rows {
		if r.Chain == n.signer.Chain() {
			marks = append(marks, Mark{r.PKH, r.Kind, r.Level, r.Round, r.Source})
		}
	}
	if len(marks) > maxMarks {
		return nil, fmt.Errorf("%d marks are more than can be told", len(marks))
	}
	return marks, nil
}

// floors are the other side's marks as floors of ours: a mark without its payload.
func (n *Node) floors(marks []Mark) []hwm.Row {
	rows := make([]hwm.Row, 0, len(marks))
	for _, m := range marks {
		rows = append(rows, hwm.Row{
			Key:  hwm.Key{Chain: n.signer.Chain(), PKH: m.PKH, Kind: m.Kind},
			Mark: hwm.Mark{Position: hwm.Position{Level: m.Level, Round: m.Round}, At: n.now(), Source: hwm.SourcePeer},
		})
	}
	return rows
}

// givenAway are the ceilings that a release by level left.
func (n *Node) givenAway() (out []hwm.CeilingKey, level int32) {
	for key, c := range n.store.Ceilings() {
		if key.Chain == n.signer.Chain() && c.Source == hwm.SourcePeer {
			out = append(out, key)
			level = max(level, c.Level)
		}
	}
	return out, level
}

// lifts lift them again.
func (n *Node) lifts() []hwm.CeilingChange {
	keys, _ := n.givenAway()
	out := make([]hwm.CeilingChange, 0, len(keys))
	for _, k := range keys {
		out = append(out, hwm.CeilingChange{Key: k})
	}
	return out
}

func (n *Node) keyReports() []KeyReport {
	out := []KeyReport{}
	for _, k := range n.signer.Keys() {
		health := "absent"
		for _, d := range k.Devices {
			if h := usable(d, k.PKH); h == "ready" || health == "absent" {
				health = h
			}
		}
		out = append(out, KeyReport{k.PKH, health})
	}
	return out
}

// usable is the health of a key on a device.
func usable(d signer.DeviceInfo, pkh tezos.PublicKeyHash) string {
	for _, k := range d.Keys {
		if k.PublicKey.Hash() == pkh && k.Usable != "" {
			return "locked"
		}
	}
	return string(d.Status.Health)
}

// asRefusal makes an error fit to be sent.
func asRefusal(err error) *Refusal {
	var r *Refusal
	if errors.As(err, &r) {
		return r
	}
	return refuse(Broken, "see: highwater status", "%s", err.Error())
}
