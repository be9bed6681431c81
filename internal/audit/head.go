package audit

import (
	"context"
	"time"

	"highwater/internal/loghead"
)

// headPatience bounds a question for the head: the disk of the log may hang, and a document goes without its head then.
const headPatience = 250 * time.Millisecond

// Head is the end of the log behind everything told before the call, durable; nil without a log, and where the log does
// not answer in time. A caller takes the head first and reads its marks after: no signature in the log up to the head
// is above the marks.
func (l *Log) Head(ctx context.Context) *loghead.Head {
	if l == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, headPatience)
	defer cancel()
	answer := make(chan loghead.Head, 1)
	select {
	case l.queue <- &entry{head: answer}:
	case <-ctx.Done():
		return l.noHead()
	}
	select {
	case h := <-answer:
		return &h
	case <-ctx.Done():
		return l.noHead()
	}
}

func (l *Log) noHead() *loghead.Head {
	l.cfg.Log.Warn("audit head not told: a bundle, release or takeover goes without the head")
	return nil
}

// Hear hands the head of another instance's log over, and never waits. from is the instance in hex, or empty where the
// instance is not known; why is the document.
func (l *Log) Hear(from, why string, h loghead.Head) {
	if l != nil {
		l.tell(entry{e: &Event{At: l.cfg.Now(), What: Heard, Why: why, Peer: from, Head: &h}})
	}
}

// answer tells the head to the askers among the entries, once the head is durable.
func (w *writer) answer(entries []entry) {
	var durable bool
	for _, e := range entries {
		if e.head == nil {
			continue
		}
		if !durable {
			if err := w.io.sync(w.file); err != nil {
				_ = w.note(w, err) // the state has the fault
				return
			}
			durable = true
		}
		e.head <- loghead.Head{Record: w.next - 1, Link: w.link}
	}
}

// toWrite counts the entries that are to become records.
func toWrite(entries []entry) (n uint64) {
	for _, e := range entries {
		if e.head == nil {
			n++
		}
	}
	return n
}

// LastHead reads the head of a log that nobody writes; nil without a log.
func LastHead(dir string) (*loghead.Head, error) {
	files, err := list(dir, logName)
	if err != nil || len(files) == 0 {
		return nil, err
	}
	e, err := findEnd(files[len(files)-1])
	if err != nil || e.at == 0 {
		return nil, err
	}
	return &loghead.Head{Record: e.next - 1, Link: e.link}, nil
}
