// Package logqueue stands between a program and the reader of its log: a reader that reads nothing holds up no
// writer.
package logqueue

import (
	"io"
	"sync/atomic"
	"time"
)

// Size bounds the lines that wait for their reader: some hundred bytes each.
const Size = 4096

// Queue is an io.Writer that never waits. Each Write is a line. Lines are dropped and counted when the queue is full,
// or when the reader does not take the line. A Queue is safe for concurrent use.
type Queue struct {
	lines   chan []byte
	dropped atomic.Uint64
	notice  func(lost uint64) []byte
	end     chan struct{}
	done    chan struct{}
}

// New starts a queue of size lines in front of w. notice makes the line about a number of lost lines; the notice is
// written before the next line that gets through. Close ends the queue.
func New(w io.Writer, size int, notice func(lost uint64) []byte) *Queue {
	q := &Queue{lines: make(chan []byte, size), notice: notice, end: make(chan struct{}), done: make(chan struct{})}
	go q.run(w)
	return q
}

// Write queues a copy of a line. Write never fails.
func (q *Queue) Write(line []byte) (int, error) {
	select {
	case q.lines <- append([]byte(nil), line...):
	default:
		q.dropped.Add(1)
	}
	return len(line), nil
}

// Dropped is the number of lines lost so far.
func (q *Queue) Dropped() uint64 { return q.dropped.Load() }

// Close writes the queued lines, and waits no longer than patience for the reader. Write nothing to the queue after
// Close.
func (q *Queue) Close(patience time.Duration) {
	close(q.end)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-q.done:
	case <-timer.C: // the reader is gone: unread lines are lost
	}
}

func (q *Queue) run(w io.Writer) {
	defer close(q.done)
	told := uint64(0)
	put := func(line []byte) {
		if lost := q.dropped.Load(); lost > told {
			if _, err := w.Write(q.notice(lost - told)); err == nil {
				told = lost
			}
		}
		if _, err := w.Write(line); err != nil {
			q.dropped.Add(1)
		}
	}
	for {
		select {
		case line := <-q.lines:
			put(line)
			continue
		case <-q.end:
		}
		for { // lines queued before the end
			select {
			case line := <-q.lines:
				put(line)
			default:
				return
			}
		}
	}
}
