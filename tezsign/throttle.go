package tezsign

import (
	"sync"
	"time"
)

// The gadget's limit for unlock and delete together, right and wrong passphrases alike.
const (
	triesMax    = 5
	triesWindow = 30 * time.Second
)

// throttle counts attempts in a sliding window, and stops an attempt that the gadget would refuse. A throttle is safe
// for concurrent use; the zero value is ready.
type throttle struct {
	mu sync.Mutex
	at []time.Time // of the attempts in the window, oldest first
}

// take counts an attempt, or returns a *ThrottledError.
func (t *throttle) take(now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.at) > 0 && now.Sub(t.at[0]) >= triesWindow {
		t.at = t.at[1:]
	}
	if len(t.at) >= triesMax {
		return &ThrottledError{Wait: triesWindow - now.Sub(t.at[0])}
	}
	t.at = append(t.at, now)
	return nil
}
