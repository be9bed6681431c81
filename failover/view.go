package failover

import (
	"fmt"
	"time"

	"highwater/failover/marks"
	"highwater/failover/verdict"
	"highwater/failover/wire"
	"highwater/hwm"
)

// View is the pair as shown to an operator.
type View struct {
	Instance hwm.InstanceID `json:"instance"`
	Peer     *PeerView      `json:"peer"`     // null: this instance is alone
	MaySign  string         `json:"may_sign"` // the instance that may sign, in one sentence
	Waiting  string         `json:"waiting,omitempty"`
	Next     []string       `json:"next,omitempty"` // what to do
	Share
}

// Share is the part of the levels for one instance, while the two share the levels after a release by level; null: no
// bound.
type Share struct {
	SignsFrom *int32 `json:"signs_from"` // the first level of the part
	SignsUpTo *int32 `json:"signs_up_to"`
}

// PeerView is the peer by its last message.
type PeerView struct {
	Address   string         `json:"address"`
	Key       hwm.InstanceID `json:"key"`
	Reachable bool           `json:"reachable"`
	Error     string         `json:"error,omitempty"`
	HeardAt   *time.Time     `json:"heard_at"`
	Role      string         `json:"role,omitempty"`
	role      hwm.Role
	Epoch     uint64         `json:"epoch"`
	Owner     hwm.InstanceID `json:"owner"`
	Signing   bool           `json:"signing"`
	Head      *int32         `json:"head"`
	SkewMS    int64          `json:"skew_ms"`
	Build     string         `json:"build,omitempty"`
	Broken    string         `json:"broken,omitempty"` // the fault of the peer's disk
	Following bool           `json:"following"`        // this instance receives each new mark of the peer
	// RTTMS is the time of the last answered question, in milliseconds.
	RTTMS float64 `json:"rtt_ms"`
	// Behind is how many levels the marks here are behind the peer's last marks; null: a mark of the peer is missing here,
	// or the peer told of none.
	Behind *int64 `json:"behind"`
	// FollowedAt is when the stream of the peer's marks was heard last.
	FollowedAt *time.Time `json:"followed_at"`
	Share

	gives *int32 // the peer signs up to this level in the epoch of this instance, by its own word
}

// View names the instance with the right to sign, and the next steps.
func (n *Node) View() View {
	v := View{Instance: n.Me()}
	peer, paired := n.store.Peer()
	mine, signing := n.store.Role(), n.signer.Active()
	if paired {
		v.Peer = n.peerView(peer)
	}
	v.share(n, mine, signing)
	who := n.verdict(v)
	v.MaySign = who.Say(n.Me(), peer.Key)
	if who.Is == verdict.Signs && v.SignsFrom != nil {
		v.MaySign = fmt.Sprintf("this instance, from level %d on", *v.SignsFrom)
	}
	v.Waiting, v.Next = n.screen(v.Peer).Advice(who)
	if r := n.sameKey(); r != nil {
		v.Waiting, v.Next = r.Text, []string{r.Hint}
	}
	return v
}

// verdict is made from this instance's knowledge of both instances.
func (n *Node) verdict(v View) verdict.Verdict {
	mine := n.store.Role()
	here := verdict.Party{
		ID: n.Me(), Heard: true, Role: mine.Role, Epoch: mine.Epoch, Owner: mine.Owner, Signing: n.signer.Active(),
		Broken: n.broken() != "", Stopped: n.offline,
	}
	if keys, level := n.marks.GivenAway(); len(keys) > 0 { // a key without a ceiling signs nothing for another owner
		here.UpTo = &level
	}
	p := v.Peer
	if p == nil {
		return verdict.Alone(here)
	}
	there := verdict.Party{ID: p.Key}
	// An answer from before the last change of role here says nothing of the peer's knowledge now.
	if p.HeardAt != nil && (p.HeardAt.After(mine.Since) || p.Epoch >= mine.Epoch) {
		there = verdict.Party{
			ID: p.Key, Heard: true, Role: p.role, Epoch: p.Epoch, Owner: p.Owner, Signing: p.Signing,
			Broken: p.Broken != "", UpTo: p.gives,
		}
	}
	return verdict.Of(here, there)
}

// screen gathers the grounds of the advice.
func (n *Node) screen(p *PeerView) verdict.Screen {
	s := verdict.Screen{Me: n.Me(), Mine: n.store.Role(), Disk: n.store.Healthy(), Reached: n.signer.Reached()}
	if p != nil {
		s.Peer = &verdict.Peer{Reachable: p.Reachable, Error: p.Error, Broken: p.Broken}
	}
	return s
}

// share finds the part of each side. The giver's ceilings bound the parts on the giver's side; on the peer's side the
// floors do. The floors lie at the same level, or are older and lie above the level.
func (v *View) share(n *Node, mine hwm.RoleRecord, signing bool) {
	switch keys, level := n.marks.GivenAway(); {
	case mine.Role != hwm.Active:
	case mine.Owner != n.Me() && len(keys) > 0:
		from := level + 1
		v.SignsUpTo = &level
		if v.Peer != nil && v.Peer.Key == mine.Owner {
			v.Peer.SignsFrom = &from
		}
	case mine.Owner == n.Me() && signing:
		floor, begun, ok := n.marks.FloorGiven()
		below := v.Peer != nil && v.Peer.Signing && v.Peer.Owner == n.Me() && v.Peer.Epoch == mine.Epoch
		if !ok || begun && !below {
			return
		}
		from := floor + 1
		v.SignsFrom = &from
		if below {
			v.Peer.SignsUpTo = &floor
		}
	}
}

func (n *Node) peerView(peer hwm.Peer) *PeerView {
	last := n.heard.State()
	p := &PeerView{Address: peer.Address, Key: peer.Key, Following: last.Following}
	if last.Err != nil {
		p.Error = last.Err.Error()
	}
	if last.Said == nil || last.Said.From != peer.Key {
		return p
	}
	a := last.Said
	p.HeardAt, p.Role, p.Epoch, p.Owner, p.Signing = &last.At, a.Role.String(), a.Epoch, a.Owner, a.Signing
	p.Broken, p.role = a.Broken, a.Role
	p.SkewMS, p.RTTMS = last.Skew.Milliseconds(), float64(last.RTT.Microseconds())/1000
	if !last.FollowedAt.IsZero() {
		p.FollowedAt = &last.FollowedAt
	}
	p.Reachable = last.Err == nil
	if a.Status != nil {
		p.tell(a.Status, n.marks)
	}
	return p
}

// tell shows the peer's report.
func (p *PeerView) tell(said *wire.Report, here marks.Here) {
	p.Head, p.Build, p.gives = said.Head, said.Build, said.SignsUpTo
	if levels, missing, err := here.Behind(said.Marks); err == nil && missing == 0 && len(said.Marks) > 0 {
		p.Behind = &levels
	}
}
