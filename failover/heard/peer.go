// Package heard keeps the messages of the peer to this process: the last answer, the questions without an answer yet,
// and the peer's processes. Each type locks itself, and calls nothing under the lock.
package heard

import (
	"sync"
	"time"

	"highwater/failover/wire"
	"highwater/hwm"
)

// Peer keeps the peer's last answer.
type Peer struct {
	mu    sync.Mutex
	state State
}

// State is a copy of the peer's last answer.
type State struct {
	Said *wire.Answer // nil: nothing was heard. Never changed
	At   time.Time    // of Said
	Err  error        // of the last attempt to ask
	Skew time.Duration
	RTT  time.Duration // of the last answer

	Following  bool // the stream of the peer's marks is open
	FollowedAt time.Time

	asked bool
}

// State gives the last answer until now.
func (p *Peer) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// Note keeps the result of a question that was asked at start. News: the peer was heard for the first time, or began to
// answer, or ceased to.
func (p *Peer) Note(a wire.Answer, start, now time.Time, err error) (news bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.state
	news = !s.asked || (err == nil) != (s.Err == nil)
	s.asked, s.Err = true, err
	if err == nil || a.From != (hwm.InstanceID{}) {
		s.Said, s.At = &a, now
		s.RTT = now.Sub(start)
		s.Skew = a.Now.Sub(start.Add(s.RTT / 2))
	}
	return news
}

// Followed keeps the time at which the stream of the peer's marks was heard.
func (p *Peer) Followed(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.Following, p.state.FollowedAt = true, at
}

// Unfollowed says that the stream ended.
func (p *Peer) Unfollowed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.Following = false
}

// Forget drops the answers: another instance is the peer now.
func (p *Peer) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.state
	s.Said, s.Err, s.Skew, s.RTT = nil, nil, 0, 0
}

// Report is the last report of the peer, however old; nil: none.
func (s State) Report(peer hwm.InstanceID) *wire.Report {
	if s.Said == nil || s.Said.From != peer {
		return nil
	}
	return s.Said.Status
}
