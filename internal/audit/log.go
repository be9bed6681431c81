package audit

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"highwater/internal/loghead"
)

// queued bounds the records on their way to the disk: at most 600 KiB, and nearly none of it while the disk keeps up.
const queued = 2048

// Config is the place and the bound of a log.
type Config struct {
	Dir      string
	MaxSize  int64 // bytes of all files together
	Instance string
	Chain    string
	Log      *slog.Logger
	Now      func() time.Time // nil: time.Now
}

// Log writes decisions. Tell queues a decision, and Run writes: no request waits for the disk of the log. A nil Log
// keeps nothing.
type Log struct {
	cfg   Config
	queue chan *entry
	full  atomic.Uint64 // decisions that found the queue full, not told yet
	lost  atomic.Uint64 // decisions that the log does not have, in all
	state atomic.Pointer[State]

	io      diskCalls
	written func(State) // for tests; nil: none
}

// entry is a decision, an event, or a question for the head behind all entries before.
type entry struct {
	d    Decision
	e    *Event
	head chan<- loghead.Head
}

// State is the end of the log, and its health.
type State struct {
	Record uint64 `json:"record"` // number of the last record
	Link   Hash   `json:"link"`   // over all records up to this
	Lost   uint64 `json:"lost"`   // decisions that the log does not have, since the start of the process
	Fault  string `json:"fault,omitempty"`
}

// New makes a log. Decisions are written while Run runs.
func New(cfg Config) *Log {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Log{cfg: cfg, queue: make(chan *entry, queued), io: realDisk}
}

// Tell hands a decision over, and never waits: a decision that finds the queue full becomes a part of a gap.
func (l *Log) Tell(d Decision) {
	if l != nil {
		l.tell(entry{d: d})
	}
}

// TellRole hands a change of role over, and never waits.
func (l *Log) TellRole(text string) {
	if l != nil {
		l.tell(entry{e: &Event{At: l.cfg.Now(), What: Role, Why: text}})
	}
}

func (l *Log) tell(e entry) {
	select {
	case l.queue <- &e:
	default:
		l.full.Add(1)
		l.lost.Add(1)
	}
}

// State is the end of the log as written; nil before the first write, or without a log.
func (l *Log) State() *State {
	if l == nil {
		return nil
	}
	s := l.state.Load()
	if s == nil {
		return nil
	}
	now := *s
	now.Lost = l.lost.Load()
	return &now
}

// headEvery is how often the log of the process names the end of the chain: another place for proofs to begin with.
const headEvery = time.Hour

// batch bounds the records of one write.
const batch = 256

// Run writes until ctx ends, and then writes the rest of the queue.
func (l *Log) Run(ctx context.Context) {
	w := &writer{Log: l}
	l.attempt(w)
	for {
		select {
		case first := <-l.queue:
			l.take(w, *first)
		case <-ctx.Done():
			for {
				select {
				case first := <-l.queue:
					l.take(w, *first)
					continue
				default:
				}
				break
			}
			l.finish(w)
			return
		}
	}
}

// take writes a record, and those queued behind.
func (l *Log) take(w *writer, first entry) {
	entries := append(make([]entry, 0, 16), first)
	for len(entries) < batch {
		select {
		case e := <-l.queue:
			entries = append(entries, *e)
			continue
		default:
		}
		break
	}
	if !l.attempt(w) {
		w.lose(toWrite(entries), "disk")
		return
	}
	err := w.write(entries)
	if err != nil {
		w.lose(toWrite(entries), "disk")
	}
	if l.note(w, err) == nil {
		w.answer(entries)
	}
}

// attempt opens the log, if it is closed, and tells whether it is open. After a fault the next attempt is a second later.
func (l *Log) attempt(w *writer) bool {
	if w.file != nil {
		return true
	}
	now := l.cfg.Now()
	if now.Before(w.again) {
		return false
	}
	return l.note(w, w.open()) == nil
}

// note keeps the state for readers, and tells of a fault and of its end. A head that is due is made durable, and told:
// after a power cut, a head known elsewhere must not accuse the log. The error is the fault.
func (l *Log) note(w *writer, err error) error {
	at := l.cfg.Now()
	due := err == nil && !at.Before(w.head)
	if due {
		err = w.io.sync(w.file)
	}
	before, now := l.state.Load(), State{Record: w.next - 1, Link: w.link}
	if w.next == 0 {
		now.Record = 0
	}
	if err != nil {
		now.Fault = err.Error()
		w.again = at.Add(time.Second)
		w.abandon()
	}
	if before == nil || before.Fault != now.Fault {
		if err != nil {
			l.cfg.Log.Error("audit log not written: decisions are missing until its disk takes them", "error", now.Fault)
		} else if before != nil {
			l.cfg.Log.Info("audit log written again")
		}
	}
	l.state.Store(&now)
	if err == nil && due {
		w.head = at.Add(headEvery)
		l.sayHead(now)
	}
	if l.written != nil {
		l.written(now)
	}
	return err
}

func (l *Log) sayHead(s State) {
	l.cfg.Log.Info("audit head", "record", s.Record, "link", s.Link.String())
}

// finish ends the run in order.
func (l *Log) finish(w *writer) {
	if w.file == nil {
		return
	}
	err := w.write([]entry{{e: &Event{At: l.cfg.Now(), What: Ended}}})
	if err == nil {
		err = w.close()
	}
	if err != nil {
		l.cfg.Log.Error("audit log not ended", "error", err.Error())
		return
	}
	l.state.Store(&State{Record: w.next - 1, Link: w.link})
	l.sayHead(*l.state.Load())
}
