package heard

import (
	"slices"
	"sync"
	"time"

	"highwater/failover/wire"
)

// A life is one process of an instance, by a number that the process draws at its start and says in every message. Two
// lives at once are two machines with one state directory: the lock on the directory keeps a second process of one
// machine out. Nothing else in the protocol tells the two apart.
//
// The proof of two lives at once must not depend on how long a message was under way. So this process counts, and puts
// each message between two counts. The message came at the later count. At the earlier count something fresh was drawn
// that the message needed: the handshake of the connection of a question, or the nonce of a question for its answer.
// The sender lived at some moment between the two counts. What a dead process left behind in a buffer lies before the
// death of its sender, however late the message comes. Take a life that was heard, a second life after it, and the
// first life once more, each wholly after the one before: the first life is alive on both sides of a moment at which
// the second life lived. Processes that follow each other never look like this, in whatever order and however late
// their messages arrive, and no clock is asked.

// life is what was heard of one process of the peer.
type life struct {
	name     string
	began    uint64    // the process lived at a moment before this count
	alive    uint64    // and at a moment after this count
	from, to uint64    // the counts around its last message
	answered bool      // at the address in the configuration
	at       time.Time // of from
}

// livedAt tells whether this life began before, and went on after, the last message of the second life.
func (l life) livedAt(second life) bool { return l.began <= second.from && second.to <= l.alive }

// maxLives is how many lives are remembered.
const maxLives = 16

// Lives are the processes of the peer.
type Lives struct {
	Count *wire.Counter

	mu     sync.Mutex
	heard  []life // the life heard last stands last
	there  string // the life that answered last at the address in the configuration
	proved time.Time
}

// Spoke takes in that a life said something that the life could not have said before from. answered marks what came
// from the address in the configuration. fresh: the life was not known. Two: two lives at once are proved.
func (l *Lives) Spoke(name string, from wire.Instant, answered bool) (fresh, two bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fresh = !slices.ContainsFunc(l.heard, func(m life) bool { return m.name == name })
	return fresh, l.spoke(life{name: name, from: from.Count, to: l.Count.Next(), answered: answered, at: from.At})
}

func (l *Lives) spoke(m life) (two bool) {
	m.began, m.alive = m.to, m.from
	if m.answered {
		l.there = m.name
	}
	for i, old := range l.heard {
		if old.name == m.name {
			m.began, m.alive, m.answered = min(m.began, old.began), max(m.alive, old.alive), m.answered || old.answered
			if old.from > m.from { // the new message was under way for longer
				m.from, m.to, m.at = old.from, old.to, old.at
			}
			l.heard = append(l.heard[:i], l.heard[i+1:]...)
			break
		}
	}
	for _, second := range l.heard {
		two = two || m.livedAt(second) || second.livedAt(m)
	}
	l.heard = append(l.heard, m)
	l.heard = l.heard[max(0, len(l.heard)-maxLives):]
	if two { // later messages prove two lives anew, or not
		l.heard, l.proved = nil, time.Now()
	}
	return two
}

// Forget drops all lives: another instance is the peer now.
func (l *Lives) Forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard, l.there, l.proved = nil, "", time.Time{}
}

// There is the life that answered last at the address in the configuration; empty: none.
func (l *Lives) There() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.there
}

// Proved tells whether two lives at once were proved within the last limit.
func (l *Lives) Proved(limit time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.proved.IsZero() && time.Since(l.proved) < limit
}

// Company is what is known of a second life beside a given life.
type Company int

// The companies.
const (
	None   Company = iota
	Answer         // a second life answers at the address in the configuration
	Recent         // a second life was heard lately, and may still run
)

// Beside looks for a second life beside the life of this name, heard within quiet. A life that answers at the address
// in the configuration has taken the place of the lives that answered before.
func (l *Lives) Beside(name string, quiet time.Duration) Company {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.heard {
		switch {
		case m.name == name:
		case m.name == l.there && time.Since(m.at) < quiet:
			return Answer
		case l.there == name && m.answered:
		case time.Since(m.at) < quiet:
			return Recent
		}
	}
	return None
}
