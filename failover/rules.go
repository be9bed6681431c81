package failover

import (
	"context"
	"fmt"

	"highwater/hwm"
)

// The rules, as docs/failover.md numbers them. Each function here is called with Node.act held: it is one step of the protocol, and
// what it decides is durable before anybody hears of it.

// heard takes in what a message of the other side says of the right to sign (rules 1, 7 and 8).
func (n *Node) heard(ctx context.Context, peer hwm.Peer, h Hello) error {
	if err := n.seen(peer, h); err != nil {
		return err
	}
	mine := n.store.Role()
	if h.Owner == n.Me() {
		return nil // what this instance was given comes with a certificate, never by hearsay
	}
	switch {
	case h.Epoch > mine.Epoch: // rule 7: newer, so somebody else may sign
		return n.yield(ctx, mine, h, fmt.Sprintf("the other instance knows epoch %d, owned by %s", h.Epoch, h.Owner.Short()))
	case h.Epoch < mine.Epoch || mine.Owner != n.Me() || mine.Epoch == 0 || mine.Role == hwm.Fenced || h.Owner != h.From:
		return nil
	case n.signer.Active() && (h.Signing || h.Role == hwm.Fenced): // rule 8: somebody's statement was false
		n.raiseAlarm(fmt.Sprintf("both instances were signing in epoch %d: both are fenced", mine.Epoch))
		mine.Role, mine.Why = hwm.Fenced, "the other instance signed in the same epoch: a takeover was stated that was not true"
		_, err := n.signer.Become(ctx, mine, nil)
		return err
	case n.signer.Active():
		return nil // the other side yields when it hears this one
	case h.Signing || n.Me().Less(h.From): // rule 8: of two claims, the one that has not resumed; of two such, the lesser key
		return n.yield(ctx, mine, h, fmt.Sprintf("yielded epoch %d to the other instance, which took over too", h.Epoch))
	}
	return nil
}

// yield makes this side stand by in somebody else's epoch. A fence stays one until an operator lifts it.
func (n *Node) yield(ctx context.Context, mine hwm.RoleRecord, h Hello, why string) error {
	next := hwm.RoleRecord{Role: hwm.Standby, Epoch: h.Epoch, Owner: h.Owner, Why: why}
	if mine.Role == hwm.Fenced {
		next.Role, next.Why = hwm.Fenced, mine.Why
	}
	if mine.Role == hwm.Active {
		n.log.Warn("signing ended by the other instance", "epoch", h.Epoch, "owner", h.Owner.Short(), "was_signing", n.signer.Active())
	}
	_, err := n.signer.Become(ctx, next, nil)
	return err
}

// seen keeps the newest epoch that the other side was heard with, so that an old copy of its state is recognised.
func (n *Node) seen(peer hwm.Peer, h Hello) error {
	switch {
	case h.Epoch > peer.Seen:
		peer.Seen = h.Epoch
		return n.store.SetPeer(&peer)
	case h.Epoch < peer.Seen:
		n.log.Warn("the other instance said more before", "seen", peer.Seen, "says", h.Epoch)
	}
	return nil
}

// onStatus does what follows from the other side's status: fence, yield, or resume (rules 5 to 8).
func (n *Node) onStatus(ctx context.Context, a Answer) error {
	ctx = context.WithoutCancel(ctx)
	n.act.Lock()
	defer n.act.Unlock()
	peer, err := n.check(a.Hello)
	if err != nil {
		return err
	}
	fresh := n.spend(a.Nonce, verbStatus)
	if err := n.heard(ctx, peer, a.Hello); err != nil {
		return err
	}
	if a.Refusal != nil {
		return a.Refusal
	}
	if !fresh || a.Status == nil { // rule 6: an answer to an earlier life's question gives nobody the right to sign
		return refuse(OldAnswer, "", "the other instance's answer is not to a question of this process")
	}
	if err := n.settle(ctx); err != nil {
		return err
	}
	return n.resume(ctx, a)
}

// resume lets a restarted owner sign again, when a fresh answer knows nothing newer (rule 7).
func (n *Node) resume(ctx context.Context, a Answer) error {
	mine := n.store.Role()
	if mine.Role != hwm.Active || mine.Owner != n.Me() || n.signer.Active() {
		return n.passed(ctx, mine, a)
	}
	if a.Epoch > mine.Epoch || a.Status.Seen > mine.Epoch {
		return n.oldState(fmt.Sprintf("the other instance knew this one at epoch %d, and the record here says %d",
			max(a.Epoch, a.Status.Seen), mine.Epoch))
	}
	if a.Epoch == mine.Epoch && a.Owner != n.Me() { // rule 8: equal, but not agreed
		return refuse(NotOwner, "", "the other instance claims epoch %d too; it is waited for", a.Epoch)
	}
	if err := n.checkCopied(a.Status.Marks); err != nil {
		return err
	}
	return n.signer.Resume(n.floors(a.Status.Marks)) // rule 5
}

// checkCopied finds an old copy of this instance's own state: what the other side follows is durable here before it is told, so
// the owner of an epoch is never behind what the other side has from it.
func (n *Node) checkCopied(marks []Mark) error {
	for _, m := range marks {
		if m.Source != hwm.SourcePeer {
			continue
		}
		key := hwm.Key{Chain: n.signer.Chain(), PKH: m.PKH, Kind: m.Kind}
		st, err := n.store.State(key)
		if err != nil {
			return err
		}
		want := hwm.Position{Level: m.Level, Round: m.Round}
		if st.Mark == nil || want.Compare(st.Mark.Position) > 0 {
			return n.oldState(fmt.Sprintf("the other instance followed this one to %s (%s of %s), and the mark here is below", want, m.Kind, m.PKH))
		}
	}
	return nil
}

func (n *Node) oldState(what string) error {
	text := "the state directory is an old copy: " + what
	n.raiseAlarm(text)
	return refuse(OldState, "never sign from a restored copy; if the other instance cannot sign any more: highwater takeover", "%s", text)
}

// passed ends signing up to the ceilings when the new owner is above them.
func (n *Node) passed(ctx context.Context, mine hwm.RoleRecord, a Answer) error {
	if mine.Role != hwm.Active || mine.Owner == n.Me() {
		return nil
	}
	_, level := n.givenAway()
	for _, m := range a.Status.Marks {
		if m.Level > level+1 && a.Owner == mine.Owner && a.Signing {
			mine.Role, mine.Why = hwm.Standby, fmt.Sprintf("the other instance signs, from level %d on", level+1)
			_, err := n.signer.Become(ctx, mine, nil)
			return err
		}
	}
	return nil
}

// release gives the epoch away, or says again to whom it was given (rules 2 to 5).
func (n *Node) release(ctx context.Context, peer hwm.Peer, q Question) (*Certificate, error) {
	mine := n.store.Role()
	switch {
	case mine.Role == hwm.Fenced:
		return nil, refuse(IsFenced, "find out who signed; then, on the machine that should sign: highwater takeover",
			"the instance %s is fenced: %s", n.Me().Short(), mine.Why)
	case mine.Epoch == 0:
		return nil, refuse(NeverActive, "highwater activate, on one of the two machines", "the instance %s was never active", n.Me().Short())
	case q.Epoch < peer.Seen:
		return nil, refuse(OldState, "never sign from a restored copy; make its state anew: highwater init, hwm import, peer add",
			"the instance %s was at epoch %d before and says %d now: its state is an old copy", q.From.Short(), peer.Seen, q.Epoch)
	case mine.Owner == peer.Key:
		return n.again(ctx, q, mine)
	case mine.Role == hwm.Active && !n.signer.Active():
		return nil, refuse(NotReady, "try again in a second", "the instance %s was restarted and has not asked yet whether it may still sign", n.Me().Short())
	case mine.Owner != n.Me():
		return nil, refuse(NotOwner, "see on both machines: highwater status", "epoch %d is owned by neither of the two, but by %s", mine.Epoch, mine.Owner.Short())
	}
	next := hwm.RoleRecord{Role: hwm.Standby, Epoch: mine.Epoch + 1, Owner: peer.Key, Why: "handed over to " + peer.Key.Short()}
	var ceilings []hwm.CeilingChange
	if q.At != nil {
		if err := n.checkLevel(*q.At); err != nil {
			return nil, err
		}
		ceilings = n.ceilings(*q.At)
		next.Why = fmt.Sprintf("handed over to %s from level %d on", peer.Key.Short(), *q.At+1)
		if n.signer.Active() { // it signs on, up to the ceilings
			next.Role = hwm.Active
		}
	}
	if q.DryRun {
		return nil, nil //nolint:nilnil // nothing was given, and nothing is in the way
	}
	if _, err := n.signer.Become(ctx, next, nil, ceilings...); err != nil { // rule 2: durable before the answer
		return nil, err
	}
	return n.certify(q, q.At)
}

// again answers as before (rule 3). A side that may still sign says up to where; when that cannot be told, it ends first.
func (n *Node) again(ctx context.Context, q Question, mine hwm.RoleRecord) (*Certificate, error) {
	keys, level := n.givenAway()
	if len(keys) > 0 {
		return n.certify(q, &level)
	}
	if mine.Role == hwm.Active && !q.DryRun {
		mine.Role = hwm.Standby
		if _, err := n.signer.Become(ctx, mine, nil); err != nil {
			return nil, err
		}
	}
	return n.certify(q, nil)
}

// certify signs the certificate for the epoch as it is on disk.
func (n *Node) certify(q Question, level *int32) (*Certificate, error) {
	marks, err := n.durableMarks()
	if err != nil || q.DryRun {
		return nil, err
	}
	mine := n.store.Role()
	return Certificate{
		Protocol: Protocol, Chain: n.signer.Chain(), From: n.Me(), To: mine.Owner, Epoch: mine.Epoch, Level: level,
		Marks: marks, Nonce: q.Nonce, When: n.now(),
	}.signed(n.store.Identity())
}

// maxAhead bounds how far above the highest mark a cut-over may lie: a day of blocks.
const maxAhead = 15_000

// checkLevel sees that a cut-over level is above what was signed, and not a mistyped one.
func (n *Node) checkLevel(level int32) error {
	highest, err := n.highest()
	switch {
	case err != nil:
		return err
	case level <= highest:
		return refuse(BadLevel, fmt.Sprintf("choose a level some minutes ahead, e.g. --at %d", int64(highest)+50),
			"level %d is not above level %d, which was signed or set already", level, highest)
	case int64(level) > int64(highest)+maxAhead:
		return refuse(BadLevel, "look at the level again", "level %d is %d above the highest mark, %d", level, level-highest, highest)
	}
	return nil
}

// highest is the highest level of all marks of our chain; -1 without any.
func (n *Node) highest() (int32, error) {
	rows, err := n.store.Rows()
	if err != nil {
		return 0, err
	}
	highest := int32(-1)
	for _, r := range rows {
		if r.Chain == n.signer.Chain() {
			highest = max(highest, r.Level)
		}
	}
	return highest, nil
}

// ceilings are those of all keys that have a mark or are known here. One that an operator set lower stays.
func (n *Node) ceilings(level int32) []hwm.CeilingChange {
	have, seen := n.store.Ceilings(), map[hwm.CeilingKey]bool{}
	var out []hwm.CeilingChange
	add := func(key hwm.CeilingKey) {
		old, ok := have[key]
		if seen[key] || ok && old.Level <= level {
			return
		}
		seen[key] = true
		c := hwm.Ceiling{Level: level, At: n.now(), Source: hwm.SourcePeer}
		out = append(out, hwm.CeilingChange{Key: key, Ceiling: &c})
	}
	if rows, err := n.store.Rows(); err == nil {
		for _, r := range rows {
			if r.Chain == n.signer.Chain() {
				add(hwm.CeilingKey{Chain: r.Chain, PKH: r.PKH})
			}
		}
	}
	for _, k := range n.signer.Keys() {
		add(hwm.CeilingKey{Chain: n.signer.Chain(), PKH: k.PKH})
	}
	return out
}

// onCertificate takes the right to sign (rules 5, 6, 10 and 11).
func (n *Node) onCertificate(ctx context.Context, c *Certificate, head *int32) error {
	ctx = context.WithoutCancel(ctx)
	n.act.Lock()
	defer n.act.Unlock()
	if err := n.checkCertificate(c); err != nil {
		return err
	}
	mine := n.store.Role()
	switch {
	case mine.Role == hwm.Fenced:
		return refuse(IsFenced, "find out who signed; then: highwater standby, and hand over again", "this instance is fenced: %s", mine.Why)
	case c.Epoch <= mine.Epoch:
		return refuse(OldAnswer, "a certificate is good for one activation", "the certificate is for epoch %d, and epoch %d is known here",
			c.Epoch, mine.Epoch)
	}
	if c.Nonce == "" {
		if err := n.checkOffline(c, head); err != nil {
			return err
		}
	} else if !n.spend(c.Nonce, verbRelease) {
		return refuse(OldAnswer, "ask again: highwater handover", "the certificate does not answer a question of this process")
	}
	floors := n.floors(c.Marks)
	why := "handed over by " + c.From.Short()
	if c.Level != nil {
		floors = append(n.signer.Floors(*c.Level, hwm.SourcePeer), floors...)
		floors = append(floors, n.levelFloors(c)...)
		why += fmt.Sprintf(" from level %d on", *c.Level+1)
	}
	next := hwm.RoleRecord{Role: hwm.Active, Epoch: c.Epoch, Owner: n.Me(), Why: why}
	_, err := n.signer.Become(ctx, next, floors, n.lifts()...)
	return err
}

func (n *Node) checkCertificate(c *Certificate) error {
	if c.To != n.Me() {
		return refuse(WrongKey, "it belongs on the other machine", "the certificate is for the instance %s, this one is %s", c.To.Short(), n.Me().Short())
	}
	if _, err := n.check(Hello{Protocol: c.Protocol, Chain: c.Chain, From: c.From}); err != nil {
		return err
	}
	return c.Verify()
}

// levelFloors raise the keys that only the certificate names.
func (n *Node) levelFloors(c *Certificate) []hwm.Row {
	rows := make([]hwm.Row, 0, len(c.Marks))
	for _, m := range c.Marks {
		rows = append(rows, hwm.Row{
			Key:  hwm.Key{Chain: c.Chain, PKH: m.PKH, Kind: m.Kind},
			Mark: hwm.Floor(*c.Level, n.now(), hwm.SourcePeer),
		})
	}
	return rows
}

// maxPast is how far the chain may be past the cut-over of a certificate in a file: ten minutes of blocks.
const maxPast = 100

func (n *Node) checkOffline(c *Certificate, head *int32) error {
	switch {
	case c.Level == nil:
		return refuse(OldAnswer, "highwater release --at LEVEL --out FILE", "a certificate in a file must have a cut-over level")
	case head == nil:
		return refuse(NotReady, "set `node` in the configuration, or say where the chain is: --head LEVEL",
			"nobody says where the chain is, so it cannot be told whether the certificate is still good")
	case int64(*head) > int64(*c.Level)+maxPast:
		return refuse(OldAnswer, "make a new one, or hand over live: highwater handover",
			"the certificate is for level %d, and the chain is at %d: more than %d levels past", *c.Level, *head, maxPast)
	}
	return nil
}

// handle is this side's answer to a question that came from the pinned key of the other instance.
func (n *Node) handle(ctx context.Context, verb string, q Question) Answer {
	a, err := n.step(context.WithoutCancel(ctx), verb, q)
	if verb == verbRelease && !q.DryRun {
		n.Poke()
	}
	if err == nil && verb == verbInvite {
		var h Handover
		if h, err = n.Handover(ctx, HandoverRequest{DryRun: q.DryRun, At: q.At}); err == nil {
			a.Handover = &h
		}
		a.Hello = n.hello()
	}
	if err != nil {
		return Answer{Hello: n.hello(), Nonce: q.Nonce, Refusal: asRefusal(err)}
	}
	return a
}

func (n *Node) step(ctx context.Context, verb string, q Question) (a Answer, err error) {
	n.act.Lock()
	defer n.act.Unlock()
	peer, err := n.check(q.Hello)
	if err != nil {
		return a, err
	}
	if q.To != n.Me() {
		return a, refuse(WrongKey, "compare with: highwater peer show", "the question is for the instance %s, this one is %s", q.To.Short(), n.Me().Short())
	}
	if err = n.heard(ctx, peer, q.Hello); err != nil {
		return a, err
	}
	peer, _ = n.store.Peer()
	switch verb {
	case verbStatus, verbFollow:
		a.Status, err = n.report(peer)
	case verbRelease:
		a.Certificate, err = n.release(ctx, peer, q)
	case verbFence, verbInvite:
	default:
		err = fmt.Errorf("an unknown question %q", verb)
	}
	a.Hello, a.Nonce = n.hello(), q.Nonce
	return a, err
}

// report is what the other side is told. It is made after heard: marks of a side that was just fenced are final.
func (n *Node) report(peer hwm.Peer) (*Report, error) {
	marks, err := n.durableMarks()
	if err != nil {
		return nil, err
	}
	r := n.store.Role()
	return &Report{
		Why: r.Why, Since: r.Since, Seen: peer.Seen, Activating: n.activating.Load(), Marks: marks, Keys: n.keyReports(),
		Head: n.head.Load(), Build: n.build,
	}, nil
}

// Activate is an operator's first activation of the pair, or the owner's return from standby: it asks before it signs.
func (n *Node) Activate(ctx context.Context, level *int32, why string) (hwm.RoleRecord, error) {
	if _, paired := n.store.Peer(); !paired {
		n.act.Lock()
		defer n.act.Unlock()
		return n.signer.Activate(level, why)
	}
	mine := n.store.Role()
	if mine.Role == hwm.Active && n.signer.Active() {
		return mine, nil
	}
	if err := n.mayActivate(mine); err != nil {
		return hwm.RoleRecord{}, err
	}
	n.activating.Store(true) // before it asks: of two that do so at once, at least one sees the other
	defer n.activating.Store(false)
	a, err := n.Ask(ctx)
	if err != nil {
		return hwm.RoleRecord{}, refuse(Unreachable, "when the other instance is gone for good: highwater takeover",
			"the other instance must be asked before this one signs: %v", err)
	}
	n.act.Lock()
	defer n.act.Unlock()
	mine = n.store.Role()
	if err := n.mayActivate(mine); err != nil {
		return hwm.RoleRecord{}, err
	}
	if a.Signing || a.Status.Activating || a.Epoch > mine.Epoch || a.Status.Seen > mine.Epoch || a.Epoch == mine.Epoch && a.Epoch > 0 && a.Owner != n.Me() {
		return hwm.RoleRecord{}, refuse(NotOwner, "see on both machines: highwater status", "the other instance is active, or is being activated too")
	}
	if err := n.checkCopied(a.Status.Marks); err != nil && mine.Epoch > 0 {
		return hwm.RoleRecord{}, err
	}
	if _, err := n.store.Raise(n.floors(a.Status.Marks)); err != nil {
		return hwm.RoleRecord{}, err
	}
	return n.signer.Activate(level, why)
}

func (n *Node) mayActivate(mine hwm.RoleRecord) error {
	switch {
	case mine.Role == hwm.Active:
		return refuse(IsActive, "when the other instance is gone for good: highwater takeover",
			"this instance is active in epoch %d, and waits for the other one's answer before it signs", mine.Epoch)
	case mine.Role == hwm.Fenced:
		return refuse(IsFenced, "find out who signed; then: highwater takeover", "this instance is fenced: %s", mine.Why)
	case mine.Epoch > 0 && mine.Owner != n.Me():
		return refuse(NotOwner, "highwater handover; when the other instance is gone for good: highwater takeover",
			"epoch %d belongs to the other instance", mine.Epoch)
	}
	return nil
}

// Stand ends signing, in the epoch that is.
func (n *Node) Stand(ctx context.Context, why string) (hwm.RoleRecord, error) {
	n.act.Lock()
	defer n.act.Unlock()
	return n.signer.Stand(ctx, hwm.Standby, why)
}
