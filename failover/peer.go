package failover

import (
	"context"
	"errors"
	"net"

	"highwater/failover/wire"
	"highwater/hwm"
)

// SetPeer names the peer; nil makes this instance alone. A change of the peer is refused while this instance waits for
// an answer: the change would end the wait.
func (n *Node) SetPeer(_ context.Context, p *hwm.Peer) error {
	n.begin()
	defer n.end()
	old, paired := n.store.Peer()
	if mine := n.store.Role(); paired && mine.Role == hwm.Active && !n.signer.Active() {
		return wire.Refuse(wire.NotReady, "highwater takeover, or highwater standby first",
			"this instance was active and must ask the peer before the first signature: the peer cannot be changed now")
	}
	if p == nil {
		return n.changePeer(nil)
	}
	host, _, err := net.SplitHostPort(p.Address)
	if err == nil && host == "" {
		err = errors.New("the machine is missing")
	}
	if err != nil {
		return wire.Refuse(wire.WrongKey, wire.NamePeer, "%q is no address: %v", p.Address, err)
	}
	if p.Key == n.Me() {
		return wire.Refuse(wire.WrongKey, "the key of the peer: highwater peer show, on the peer's machine",
			"the given key is the key of this instance")
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
	n.heard.Forget()
	n.lives.Forget()
	n.questions.DropAll()
	n.Poke()
	return nil
}
