package year

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// fault is an event of the calendar.
type fault string

const (
	nodeRestart fault = "the node restarted"
	deviceReset fault = "the device was away"
	diskStall   fault = "the disk stalled"
	longStall   fault = "stalls without a pause, too long for two levels"
	bareStall   fault = "a stall before levels were ahead again"
	upgrade     fault = "an upgrade restarted the signer"
	powerCut    fault = "the power was away"
	levelsAhead fault = "levels ahead, after a power cut"
	deadDisk    fault = "a dead disk, until an operator took over"
	handover    fault = "a handover"
	renewal     fault = "a new certificate"
	mended      fault = "a broken certificate was mended"
	badStart    fault = "a start that met a broken certificate"
	otherBytes  fault = "other bytes for a signed place, after a reorganisation"
	theSigner   fault = "the signer itself"
)

// longestStall is less than the two levels that are durable ahead.
const longestStall = 10 * time.Second

// deadDiskWait is what an operator needs: to be called, to read, and to take over.
const deadDiskWait = 20 * time.Minute

type event struct {
	at     time.Duration // from the beginning
	what   fault
	lasts  time.Duration
	damage damage // of a renewal gone wrong, mended at its end
}

// certificateLives is how many certificates a span sees in use, one after the other: a year has one each 60 days, for
// 90 days.
const certificateLives = 6

// renewals are the changes of the certificates. Three renewals go wrong, and are mended a day later (of a year).
func renewals(span time.Duration) (events []event) {
	each := span / certificateLives
	for i := 1; i < certificateLives; i++ {
		e := event{at: time.Duration(i) * each, what: renewal}
		if i > 1 && i-2 < len(damages) {
			e.lasts, e.damage = each/60, damages[i-2]
			events = append(events, event{at: e.at + e.lasts, what: mended})
		}
		events = append(events, e)
	}
	return events
}

func certificateLife(span time.Duration) time.Duration { return span / certificateLives * 3 / 2 }

// calendar spreads a year's faults over a span: of rare ones as many in a day as in a year, so that a short run meets
// them all.
func calendar(seed uint64, span time.Duration) (events []event) {
	random := rand.New(rand.NewPCG(seed, 2))
	days := max(1, int(span/(24*time.Hour)))
	months := max(2, days/30)
	spread := func(what fault, count int, shortest, longest time.Duration) {
		for range count {
			at := span/20 + time.Duration(random.Int64N(int64(span*9/10)))
			lasts := shortest + time.Duration(random.Int64N(int64(longest-shortest)+1))
			events = append(events, event{at: at, what: what, lasts: lasts})
		}
	}
	spread(nodeRestart, months, time.Minute, 4*time.Minute)
	spread(deviceReset, days, 3*time.Second, 15*time.Second)
	spread(diskStall, 40*days, time.Second, longestStall)
	spread(upgrade, months, 800*time.Millisecond, 2*time.Second)
	spread(handover, months, 0, 0)
	// A virtual machine that is reset: back before the levels ahead are over.
	spread(powerCut, 1, 2*time.Second, 5*time.Second)
	spread(powerCut, 1, time.Minute, 10*time.Minute)
	spread(deadDisk, 1, deadDiskWait, deadDiskWait)
	slices.SortFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	events = append(apart(events), renewals(span)...)
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	return events
}

// apart keeps what takes a machine down from coming while the machine is down already.
func apart(events []event) []event {
	var free time.Duration
	for i, e := range events {
		if e.what == diskStall || e.what == deviceReset || e.what == nodeRestart {
			continue
		}
		events[i].at = max(e.at, free)
		free = events[i].at + e.lasts + 10*time.Minute
	}
	slices.SortFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	return events
}
