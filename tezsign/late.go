package tezsign

import (
	"context"
	"slices"
	"sync"
	"time"

	"highwater/internal/tezos"
	"highwater/tezsign/frame"
)

// lateAnswers remembers sign requests whose answers were lost (a time-out, an unplugged cable), across sessions. The gadget finishes
// a request whose requester has gone, and delivers the answer to the next session; asking again gives "stale", since it does not
// keep signatures. So the answer that comes late is the only one there will ever be. It is safe for concurrent use; the zero value
// is ready.
type lateAnswers struct {
	mu      sync.Mutex
	open    []lateRequest // oldest first, at most lateMax
	strays  [][]byte      // signatures that this process did not ask for, oldest first, at most lateMax
	changed chan struct{} // closed when an answer came; nil when nobody waits
}

// lateRequest is a request that was given up, and its signature once that came.
type lateRequest struct {
	id  frame.ID
	key lateKey
	raw []byte // nil: not come yet
}

// lateKey identifies exact bytes for an exact key.
type lateKey struct {
	pkh    tezos.PublicKeyHash
	digest [32]byte
}

// blsLen is how long a signature is, in bytes.
const blsLen = 96

// lateMax bounds what is remembered: one request a channel is in flight, and each of these took seconds.
const lateMax = 32

// lateWait is how long a refusal as stale waits for the late answer that explains it: the two are made within a few milliseconds.
const lateWait = 300 * time.Millisecond

// expect notes a request that is being made.
func (l *lateAnswers) expect(id frame.ID, key lateKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) == lateMax {
		l.open = l.open[1:]
	}
	l.open = append(l.open, lateRequest{id: id, key: key})
}

// forget drops a request that came to its end.
func (l *lateAnswers) forget(id frame.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = slices.DeleteFunc(l.open, func(r lateRequest) bool { return r.id == id })
}

// arrived is called with every answer that belongs to no request of its session.
func (l *lateAnswers) arrived(id frame.ID, payload []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.tell()
	resp, err := parseResponse(payload)
	raw := resp.GetSign().GetSignature()
	signed := err == nil && len(raw) > 0
	for i := range l.open {
		if l.open[i].id != id || l.open[i].raw != nil {
			continue
		}
		if signed {
			l.open[i].raw = raw
		} else {
			l.open = append(l.open[:i], l.open[i+1:]...) // refused: there is nothing to wait for
		}
		return
	}
	if signed && len(raw) == blsLen {
		l.strays = append(l.strays[max(0, len(l.strays)+1-lateMax):], raw)
	}
}

// tell wakes who waits. The caller holds the lock.
func (l *lateAnswers) tell() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// stray gives a signature that this process did not ask for and that fits. young: the session is so new that
// the gadget may still be at what an earlier process asked; then one is waited for a little.
func (l *lateAnswers) stray(ctx context.Context, fits func(raw []byte) bool, young bool) []byte {
	timer := time.NewTimer(lateWait)
	defer timer.Stop()
	for tried := 0; ; {
		changed, strays := l.waitStrays()
		for _, raw := range strays[min(tried, len(strays)):] {
			if fits(raw) {
				return raw
			}
		}
		tried = len(strays)
		if !young {
			return nil
		}
		select {
		case <-changed:
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

func (l *lateAnswers) waitStrays() (changed chan struct{}, strays [][]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed, slices.Clone(l.strays)
}

// find gives the late signature for exactly these bytes; expected tells whether one may still come.
func (l *lateAnswers) find(key lateKey) (raw []byte, expected bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.look(key)
}

func (l *lateAnswers) look(key lateKey) (raw []byte, expected bool) {
	for _, r := range l.open {
		if r.key != key {
			continue
		}
		if r.raw != nil {
			return r.raw, true
		}
		expected = true
	}
	return nil, expected
}

// wait is find that waits a little for what may still come.
func (l *lateAnswers) wait(ctx context.Context, key lateKey) []byte {
	timer := time.NewTimer(lateWait)
	defer timer.Stop()
	for {
		l.mu.Lock()
		raw, expected := l.look(key)
		if l.changed == nil {
			l.changed = make(chan struct{})
		}
		changed := l.changed
		l.mu.Unlock()
		if raw != nil || !expected {
			return raw
		}
		select {
		case <-changed:
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}
