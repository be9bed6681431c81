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
// each message between two counts. The message came at the later count. At the earlier count a fresh part of the
// message was drawn: for a question, the handshake of the connection; for an answer, the nonce of the question. The
// sender lived at some moment between the two counts. A late message, left in a buffer by a dead process, still lies
// before the sender's death. Take a message of a first life, later a message of a second life, and later again a
// message of the first life, each wholly after the message before: the first life is alive on both sides of a moment of
// the second life. Two processes in turn never look like two lives at once, in any order of their messages and at any
// delay, and no clock is asked.

// life gathers the messages of one process of the peer.
type life struct {
	name     string
	began    uint64    // the process lived at a moment before the count
	alive    uint64    // and at a moment after the count
	from, to uint64    // the counts around the last message
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

// Spoke takes in a life's message, later than the instant from. answered marks a message from the address in the
// configuration. fresh: the life was not known. Two: two lives at once are proved.
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

// There is the last life to answer at the address in the configuration; empty: none.
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

// Company is the knowledge of a second life beside a given life.
type Company int

// The companies.
const (
	None   Company = iota
	Answer         // a second life answers at the address in the configuration
	Recent         // a second life was heard lately, and may still run
)

// Beside looks for a second life beside the life of this name, heard within quiet. A life that answers at the address
// in the configuration has taken the place of the earlier lives at the address.
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
