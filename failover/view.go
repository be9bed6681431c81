package failover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"highwater/failover/verdict"
	"highwater/failover/wire"
	"highwater/hwm"
)

// View is what an operator is told about the pair.
type View struct {
	Instance hwm.InstanceID `json:"instance"`
	Peer     *PeerView      `json:"peer"`     // null: this instance is alone
	MaySign  string         `json:"may_sign"` // who, in one sentence
	Waiting  string         `json:"waiting,omitempty"`
	Next     []string       `json:"next,omitempty"` // what to do
	Share
}

// Share is the part of the levels that an instance may sign, where two of them share these after a release by level; null: no such bound.
type Share struct {
	SignsFrom *int32 `json:"signs_from"` // the first level of the part
	SignsUpTo *int32 `json:"signs_up_to"`
}

// PeerView is the other instance as it was last heard.
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
	Broken    string         `json:"broken,omitempty"` // what is wrong with its disk
	Following bool           `json:"following"`        // this instance has its marks as they are written
	// RTTMS is how long it took to answer the last question that it answered, in milliseconds.
	RTTMS float64 `json:"rtt_ms"`
	// Behind is how many levels the marks here are behind those that it told of last; null: it told of one that is not here, or of none.
	Behind *int64 `json:"behind"`
	// FollowedAt is when the stream of its marks was heard last.
	FollowedAt *time.Time `json:"followed_at"`
	Share

	gives *int32 // it says that it signs up to this level, in the epoch of this instance
}

// View tells who may sign, and what to do.
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

// verdict is this screen's, from its knowledge of both sides.
func (n *Node) verdict(v View) verdict.Verdict {
	mine := n.store.Role()
	here := verdict.Party{
		ID: n.Me(), Heard: true, Role: mine.Role, Epoch: mine.Epoch, Owner: mine.Owner, Signing: n.signer.Active(),
		Broken: n.broken() != "", Stopped: n.offline,
	}
	if keys, level := n.givenAway(); len(keys) > 0 { // a key without a ceiling signs nothing for another owner
		here.UpTo = &level
	}
	p := v.Peer
	if p == nil {
		return verdict.Alone(here)
	}
	there := verdict.Party{ID: p.Key}
	// What was heard before this side changed its role says nothing of what the peer knows by now.
	if p.HeardAt != nil && (p.HeardAt.After(mine.Since) || p.Epoch >= mine.Epoch) {
		there = verdict.Party{
			ID: p.Key, Heard: true, Role: p.role, Epoch: p.Epoch, Owner: p.Owner, Signing: p.Signing, Broken: p.Broken != "", UpTo: p.gives,
		}
	}
	return verdict.Of(here, there)
}

// screen is what advice rests on.
func (n *Node) screen(p *PeerView) verdict.Screen {
	s := verdict.Screen{Me: n.Me(), Mine: n.store.Role(), Disk: n.store.Healthy()}
	if p != nil {
		s.Peer = &verdict.Peer{Reachable: p.Reachable, Error: p.Error, Broken: p.Broken}
	}
	return s
}

// share tells who signs up to which level, and from which. The giver's ceilings say it on the one side; on the other the floors do, which lie
// at the same level, or above it when they were there before.
func (v *View) share(n *Node, mine hwm.RoleRecord, signing bool) {
	switch keys, level := n.givenAway(); {
	case mine.Role != hwm.Active:
	case mine.Owner != n.Me() && len(keys) > 0:
		from := level + 1
		v.SignsUpTo = &level
		if v.Peer != nil && v.Peer.Key == mine.Owner {
			v.Peer.SignsFrom = &from
		}
	case mine.Owner == n.Me() && signing:
		floor, begun, ok := n.floorGiven()
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

// floorGiven is the lowest mark of our chain, when it is a floor that came from the other side, and whether anything is above it.
func (n *Node) floorGiven() (level int32, begun, ok bool) {
	rows, err := n.rows()
	if err != nil || len(rows) == 0 {
		return 0, false, false
	}
	byPlace := func(a, b hwm.Row) int { return a.Compare(b.Position) }
	low, high := slices.MinFunc(rows, byPlace), slices.MaxFunc(rows, byPlace)
	return low.Level, high.Level > low.Level, low.Source == hwm.SourcePeer && low.Round == hwm.MaxRound
}

func (n *Node) peerView(peer hwm.Peer) *PeerView {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := &PeerView{Address: peer.Address, Key: peer.Key, Following: n.follow.connected}
	if n.lastErr != nil {
		p.Error = n.lastErr.Error()
	}
	if n.said == nil || n.said.From != peer.Key {
		return p
	}
	at, a := n.heardAt, n.said
	p.HeardAt, p.Role, p.Epoch, p.Owner, p.Signing = &at, a.Role.String(), a.Epoch, a.Owner, a.Signing
	p.Broken, p.role = a.Broken, a.Role
	p.SkewMS, p.RTTMS = n.skew.Milliseconds(), float64(n.rtt.Microseconds())/1000
	if !n.follow.at.IsZero() {
		heard := n.follow.at
		p.FollowedAt = &heard
	}
	p.Reachable = n.lastErr == nil
	if a.Status != nil {
		p.Head, p.Build = a.Status.Head, a.Status.Build
		p.gives = a.Status.SignsUpTo
		if levels, missing, err := n.behind(a.Status.Marks); err == nil && missing == 0 && len(a.Status.Marks) > 0 {
			p.Behind = &levels
		}
	}
	return p
}

// SetPeer names the other instance; nil makes this one alone. Whoever waits for an answer cannot get out of it this way.
func (n *Node) SetPeer(_ context.Context, p *hwm.Peer) error {
	n.begin()
	defer n.end()
	old, paired := n.store.Peer()
	if mine := n.store.Role(); paired && mine.Role == hwm.Active && !n.signer.Active() {
		return wire.Refuse(wire.NotReady, "highwater takeover, or highwater standby first",
			"this instance was active and must ask the other one before it signs: the other one cannot be changed now")
	}
	if p == nil {
		return n.changePeer(nil)
	}
	host, _, err := net.SplitHostPort(p.Address)
	if err == nil && host == "" {
		err = errors.New("the machine is missing")
	}
	if err != nil {
		return wire.Refuse(wire.WrongKey, "highwater peer add HOST:PORT KEY", "%q is no address: %v", p.Address, err)
	}
	if p.Key == n.Me() {
		return wire.Refuse(wire.WrongKey, "the key of the other machine: highwater peer show, there", "that is the key of this instance")
	}
	next := *p
	next.Since = n.now()
	if paired && old.Key == p.Key {
		next.Seen = old.Seen
	}
	return n.changePeer(&next)
}

func (n *Node) changePeer(p *hwm.Peer) error {
	if err := n.store.SetPeer(p); err != nil {
		return err
	}
	n.mu.Lock()
	n.said, n.lastErr, n.skew, n.rtt, n.lives = nil, nil, 0, 0, lives{}
	n.mu.Unlock()
	n.forgetAll()
	n.Poke()
	return nil
}
