package early

import (
	"context"
	"slices"
	"time"
)

// queued bounds the events on their way. An event that finds the queue full is dropped: a look needs no single event.
const queued = 1024

// event is the end of a request, or of a commit.
type event struct {
	device string        // of a signature
	took   time.Duration // of a signature, else of a commit
	level  int32         // of a request whose time ended; zero: none
}

// Signed tells of a signature, and of the time of its whole request.
func (w *Watch) Signed(device string, took time.Duration) { w.hand(event{device: device, took: took}) }

// UsedUp tells that the time of a request ended before its signature.
func (w *Watch) UsedUp(level int32) { w.hand(event{level: max(level, 1)}) }

// Committed tells of a commit to the watermark file.
func (w *Watch) Committed(took time.Duration) {
	if w.limits.SlowSync > 0 && took > w.limits.SlowSync {
		w.hand(event{took: took})
	}
}

func (w *Watch) hand(e event) {
	select {
	case w.queue <- e:
	default:
	}
}

// Run looks until ctx ends. tell is told when a warning begins, and when it is over; tell must not wait.
func (w *Watch) Run(ctx context.Context, from Sources, tell func(w Warning, over bool)) {
	w.from, w.tell, w.began = from, tell, time.Now()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case e := <-w.queue:
			w.keep(e, time.Now())
		case <-tick.C:
			w.look(time.Now())
		case <-ctx.Done():
			return
		}
	}
}

// keep takes an event down.
func (w *Watch) keep(e event, now time.Time) {
	switch {
	case e.level > 0:
		// Many requests of one level are one entry: else the requests of many keys fill the memory with one level.
		w.usedUp = slices.DeleteFunc(w.usedUp, func(u timed[int32]) bool { return u.is == e.level })
		w.usedUp = lately(append(w.usedUp, timed[int32]{e.level, now}), now, usedUpSpan)
	case e.device == "":
		w.syncs = lately(append(w.syncs, timed[time.Duration]{e.took, now}), now, syncSpan)
	default:
		s, ok := w.devices[e.device]
		if !ok {
			s = &signatures{}
			w.devices[e.device] = s
		}
		s.add(e.took, now)
	}
}

// look holds all conditions against the numbers of now.
func (w *Watch) look(now time.Time) {
	var found []finding
	for _, check := range []func(time.Time) []finding{
		w.slowSignatures, w.slowSync, w.timeUsedUp, w.reconnects, w.deviceHeld, w.certificates, w.marksAhead, w.nodeSilent,
		w.notFollowing, w.registerSilent, w.auditUnwritten, w.bakerSilent, w.rightsMissed, w.keyUnheld,
	} {
		found = append(found, check(now)...)
	}
	w.judge(found, now)
	w.show()
}
