package signer

import (
	"sync"
	"time"
)

// sumEvery is how often the log tells of requests that are refused because this instance does not sign.
const sumEvery = 10 * time.Minute

// refusals counts those requests: each of them is a line at debug only.
type refusals struct {
	mu    sync.Mutex
	text  string // what their clients are told
	count int    // since the last line
	next  time.Time
}

// note counts one, and gives how many a line is due for; zero: none is due. The first with a new text has a line at once.
func (r *refusals) note(text string, now time.Time) (due int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	if text == r.text && now.Before(r.next) {
		return 0
	}
	due = r.count
	r.text, r.count, r.next = text, 0, now.Add(sumEvery)
	return due
}

// sumUp tells of requests that were refused because this instance does not sign, once for many.
func (s *Signer) sumUp(text string) {
	if due := s.refused.note(text, s.now()); due > 0 {
		s.log.Info("requests refused: this instance does not sign", "requests", due, "error", text)
	}
}
