package heard

import (
	"sync"
	"time"
)

// Pulse notices a standstill of the process: the process was stopped, or its machine suspended, and goes on in the
// middle of its work. An observer may have taken the process for dead. A machine that is paused together with its
// clocks leaves nothing to notice.
type Pulse struct {
	mu    sync.Mutex
	ran   time.Time // the last time that the process was seen to run; zero: nobody looks
	slept bool      // the process stood still, and has not asked since
}

// Look tells whether the process stood still for longer than limit, and has not asked since. beats says that the
// process runs.
func (p *Pulse) Look(now time.Time, limit time.Duration, beats bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	// By either clock: a clock may have stood still, too.
	if !p.ran.IsZero() && max(now.Sub(p.ran), now.Round(0).Sub(p.ran.Round(0))) > limit {
		p.slept = true
	}
	if beats {
		p.ran = now
	}
	return p.slept
}

// Asked says that the process has asked since the standstill.
func (p *Pulse) Asked() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ran, p.slept = time.Now(), false
}

// Ran says when the process was seen to run, for tests of a standstill.
func (p *Pulse) Ran(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ran = at
}
