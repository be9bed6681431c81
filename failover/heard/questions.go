package heard

import (
	"crypto/rand"
	"encoding/hex"
	"sync"

	"highwater/failover/wire"
)

// Questions are the questions of this process without an answer, by their nonces. Nonces end with the process: an
// answer to the question of an earlier process is no answer.
type Questions struct {
	Count *wire.Counter

	mu      sync.Mutex
	waiting map[string]Question
}

// Question is a question without an answer.
type Question struct {
	Verb  string
	Drawn wire.Instant
	Epoch uint64 // of the asker, when the question was asked
}

// Draw makes the nonce of a question.
func (q *Questions) Draw(verb string, epoch uint64) (nonce string) {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	nonce = hex.EncodeToString(b)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting == nil {
		q.waiting = map[string]Question{}
	}
	q.waiting[nonce] = Question{verb, q.Count.Instant(), epoch}
	return nonce
}

// Drop ends the wait of a question.
func (q *Questions) Drop(nonce string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.waiting, nonce)
}

// DropAll makes every answer under way an old answer.
func (q *Questions) DropAll() {
	q.mu.Lock()
	defer q.mu.Unlock()
	clear(q.waiting)
}

// Spend ends the wait of a question, and tells whether a question with this verb waited for the answer.
func (q *Questions) Spend(nonce, verb string) (asked Question, fresh bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	asked, ok := q.waiting[nonce]
	delete(q.waiting, nonce)
	return asked, ok && nonce != "" && asked.Verb == verb
}
