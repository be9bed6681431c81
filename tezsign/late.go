package tezsign

import (
	"context"
	"slices"
	"sync"
	"time"

	"highwater/internal/tezos"
	"highwater/tezsign/frame"
)

// lateAnswers remembers sign requests with lost answers (a time-out, an unplugged cable), across sessions. The gadget
// finishes a request even when the requester has gone, and delivers the answer to the next session. Asking again
// gives "stale": the gadget keeps no signatures, and a late answer is the only answer. lateAnswers is safe for
// concurrent use; the zero value is ready.
type lateAnswers struct {
	mu      sync.Mutex
	open    []lateRequest // oldest first, at most lateMax
	strays  [][]byte      // signatures of requests unknown to this process, oldest first, at most lateMax
	changed chan struct{} // closed when an answer comes; nil without a waiter
}

// lateRequest is an abandoned request, with its signature once the signature has come.
type lateRequest struct {
	id  frame.ID
	key lateKey
	raw []byte // nil: no signature yet
}

// lateKey identifies exact bytes for an exact key.
type lateKey struct {
	pkh    tezos.PublicKeyHash
	digest [32]byte
}

// blsLen is the length of a signature, in bytes.
const blsLen = 96

// lateMax bounds the remembered requests and signatures. A channel has one request in flight, and each lost request
// took seconds.
const lateMax = 32

// lateWait bounds the wait, after a refusal as stale, for the late answer that explains the refusal. The gadget makes
// both within a few milliseconds.
const lateWait = 300 * time.Millisecond

// expect notes a request before the request is sent.
func (l *lateAnswers) expect(id frame.ID, key lateKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) == lateMax {
		l.open = l.open[1:]
	}
	l.open = append(l.open, lateRequest{id: id, key: key})
}

// forget drops a completed request.
func (l *lateAnswers) forget(id frame.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = slices.DeleteFunc(l.open, func(r lateRequest) bool { return r.id == id })
}

// arrived is called with every answer without a request in its session.
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
			l.open = append(l.open[:i], l.open[i+1:]...) // refused: no signature will come
		}
		return
	}
	if signed && len(raw) == blsLen {
		l.strays = append(l.strays[max(0, len(l.strays)+1-lateMax):], raw)
	}
}

// tell wakes the waiters. The caller holds the lock.
func (l *lateAnswers) tell() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// stray returns a fitting signature of a request unknown to this process. In a young session the gadget may still be
// working for an earlier process, and stray waits a little for the signature.
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

// find returns the late signature for exactly these bytes. expected tells whether a signature may still come.
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

// wait is find, with a short wait for a signature that may still come.
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
