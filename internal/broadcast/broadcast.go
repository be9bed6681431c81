// Package broadcast tells all waiting goroutines of a change.
package broadcast

import "sync"

// Changes tells of each change of a thing.
type Changes struct {
	mu sync.Mutex
	ch chan struct{}
}

// New makes a broadcast before its first Send.
func New() *Changes { return &Changes{ch: make(chan struct{})} }

// Wait is closed at the next Send. Take the channel before looking at the thing that may change.
func (c *Changes) Wait() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ch
}

// Send wakes all waiting goroutines.
func (c *Changes) Send() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.ch)
	c.ch = make(chan struct{})
}
