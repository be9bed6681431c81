package operate

import (
	"context"

	"highwater/failover"
	"highwater/failover/moment"
	"highwater/failover/wire"
	"highwater/hwm"
)

// PeerRequest names the peer. Without an address, this instance is alone.
type PeerRequest struct {
	Address string         `json:"address"`
	Key     hwm.InstanceID `json:"key"`
}

// ReleaseRequest asks for a certificate to be carried in a file.
type ReleaseRequest struct {
	At int32 `json:"at"`
}

// AcceptRequest brings a certificate from a file.
type AcceptRequest struct {
	Certificate wire.Certificate `json:"certificate"`
	Head        *int32           `json:"head"`
}

// HandoverAnswer is the outcome of a handover with its checklist, also after a refusal.
type HandoverAnswer struct {
	failover.Handover
	Refusal *wire.Refusal `json:"refusal,omitempty"`
}

// TakeoverAnswer is the outcome of a takeover with its checklist, also after a refusal.
type TakeoverAnswer struct {
	failover.Takeover
	Refusal *wire.Refusal `json:"refusal,omitempty"`
}

var errNoFailover = &wire.Refusal{
	Reason: wire.NotReady, Text: "the two instances talk through their daemons", Hint: "highwater serve",
}

// talking gives the node of a daemon: only a daemon hears the peer.
func (l *Local) talking() (*failover.Node, error) {
	if l.Node == nil || !l.Running {
		return nil, errNoFailover
	}
	return l.Node, nil
}

// Pair tells which of the two instances may sign.
func (l *Local) Pair(context.Context) (failover.View, error) {
	if l.Node == nil {
		return failover.View{}, errNoFailover
	}
	return l.Node.View(), nil
}

// SetPeer names the peer.
func (l *Local) SetPeer(ctx context.Context, r PeerRequest) (failover.View, error) {
	if l.Shared && r.Address != "" {
		return failover.View{}, errShared
	}
	if l.Node == nil {
		return failover.View{}, errNoFailover
	}
	var peer *hwm.Peer
	if r.Address != "" {
		peer = &hwm.Peer{Address: r.Address, Key: r.Key}
	}
	if err := l.Node.SetPeer(ctx, peer); err != nil {
		return failover.View{}, err
	}
	return l.Node.View(), nil
}

// Moment tells whether now is a good moment.
func (l *Local) Moment(ctx context.Context, w moment.Window) (moment.Moment, error) {
	reg, err := l.register()
	if err != nil {
		return moment.Moment{}, err
	}
	if reg != nil {
		return l.momentShared(ctx, reg, w)
	}
	n, err := l.talking()
	if err != nil {
		return moment.Moment{}, err
	}
	return n.Moment(ctx, w)
}

// Handover moves the right to sign.
func (l *Local) Handover(ctx context.Context, r failover.HandoverRequest) (HandoverAnswer, error) {
	reg, err := l.register()
	if err != nil {
		return HandoverAnswer{}, err
	}
	if reg != nil {
		h, no := l.handoverShared(ctx, reg, r)
		refusal, broken := asRefusal(no)
		return HandoverAnswer{h, refusal}, broken
	}
	n, err := l.talking()
	if err != nil {
		return HandoverAnswer{}, err
	}
	h, err := n.Handover(ctx, r)
	refusal, err := asRefusal(err)
	return HandoverAnswer{h, refusal}, err
}

// asRefusal takes a refusal out of an error: a refusal is an answer, not a breakage.
func asRefusal(err error) (*wire.Refusal, error) {
	if r, ok := err.(*wire.Refusal); ok { //nolint:errorlint // an error that wraps a refusal says more, and is an error
		return r, nil
	}
	return nil, err
}

// Release makes a certificate for a file.
func (l *Local) Release(ctx context.Context, r ReleaseRequest) (wire.Certificate, error) {
	if l.Shared {
		return wire.Certificate{}, errShared
	}
	n, err := l.talking()
	if err != nil {
		return wire.Certificate{}, err
	}
	c, err := n.Release(ctx, r.At)
	if err != nil {
		return wire.Certificate{}, err
	}
	return *c, nil
}

// Accept takes the right to sign from a file.
func (l *Local) Accept(ctx context.Context, r AcceptRequest) (Role, error) {
	if l.Shared {
		return Role{}, errShared
	}
	n, err := l.talking()
	if err != nil {
		return Role{}, err
	}
	if _, err := n.Accept(ctx, &r.Certificate, r.Head); err != nil {
		return Role{}, err
	}
	return l.role(), nil
}

// Takeover takes the right to sign without the peer.
func (l *Local) Takeover(ctx context.Context, r failover.TakeoverRequest) (TakeoverAnswer, error) {
	reg, err := l.register()
	if err != nil {
		return TakeoverAnswer{}, err
	}
	if reg != nil {
		t, no := l.takeoverShared(ctx, reg, r)
		refusal, broken := asRefusal(no)
		return TakeoverAnswer{t, refusal}, broken
	}
	n, err := l.talking()
	if err != nil {
		return TakeoverAnswer{}, err
	}
	t, err := n.Takeover(ctx, r)
	refusal, err := asRefusal(err)
	return TakeoverAnswer{t, refusal}, err
}
