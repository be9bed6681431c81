package hwm

import (
	"fmt"
	"time"
)

// FarLevels is how far above the highest known level a mark may jump, besides the levels that time may have added. At
// six seconds a level FarLevels are 16 hours and 40 minutes: the most that a single mark set too high can cost. A
// pause needs none of FarLevels, since each second of a pause allows a level more, and a chain makes at most one
// level in a second. FarLevels are for jumps without time: a floor set above the head, a clock that was wrong for
// some hours.
const FarLevels = 10_000

// BlockTime is the time between two levels, for sentences only.
const BlockTime = 6 * time.Second

// Known is a level that the chain had not passed at a time.
type Known struct {
	Level int32
	At    time.Time
	Node  bool // a node says so; else a mark
}

// by is the highest level at which the chain may be by now: one level a second. A clock that went backwards adds
// nothing.
func (k Known) by(now time.Time) int64 {
	return int64(k.Level) + max(0, int64(now.Sub(k.At)/time.Second))
}

// Limit is the highest level to which a mark may be moved. The zero value limits nothing: nothing is known.
type Limit struct {
	Top  int64 // the level
	From Known // the base of the limit: the node's head, else the highest mark
	set  bool
}

// NewLimit applies the rule against far levels: nothing moves a mark further than FarLevels above the highest known
// level, plus the levels that time may have added since.
//
// A node's head counts alone: the head says where the chain is, and a mark above the head says nothing of the chain.
// Without a head the marks count. Without either nothing is known, and nothing is limited.
func NewLimit(now time.Time, head *Known, marks ...Mark) Limit {
	if head != nil {
		return Limit{head.by(now) + FarLevels, *head, true}
	}
	var l Limit
	for _, m := range marks {
		l = l.Or(now, Known{Level: m.Level, At: m.At})
	}
	return l
}

// Or adds further knowledge, unless a node's head is known.
func (l Limit) Or(now time.Time, k Known) Limit {
	if l.set && l.From.Node {
		return l
	}
	if !l.set {
		return Limit{k.by(now) + FarLevels, k, true}
	}
	l.Top = max(l.Top, k.by(now)+FarLevels)
	if k.Level > l.From.Level {
		l.From = k
	}
	return l
}

// Reached is the level that the chain may have reached by the limit's time, for advice; 0 where nothing is known.
func (l Limit) Reached() int64 {
	if !l.set {
		return 0
	}
	seconds := l.Top - FarLevels - int64(l.From.Level)
	return int64(l.From.Level) + seconds*int64(time.Second)/int64(BlockTime)
}

// Known tells whether a highest level is known.
func (l Limit) Known() bool { return l.set }

// Allows tells whether a mark may be moved to a level.
func (l Limit) Allows(level int32) bool { return !l.set || int64(level) <= l.Top }

// Below tells whether a first mark at a level would lie so far under the head of a node that a digit is missing.
func (l Limit) Below(level int32) bool {
	return l.set && l.From.Node && int64(level)+FarLevels < int64(l.From.Level)
}

// Check is nil when a mark may be moved to a place, and a *Refusal otherwise. Check is for every door but a request,
// which Decide refuses.
func (l Limit) Check(key Key, want Position) error {
	if l.Allows(want.Level) {
		return nil
	}
	return &Refusal{Key: key, Want: want, Reason: TooFar, Limit: l, Hint: hintTyped}
}

// CheckFirst is Check for a key's first mark, which may be too low as well: a signature above a low mark could be
// made again.
func (l Limit) CheckFirst(key Key, want Position) error {
	if l.Below(want.Level) {
		return &Refusal{Key: key, Want: want, Reason: TooFar, Limit: l, Hint: hintTyped}
	}
	return l.Check(key, want)
}

const hintTyped = "look at the level again; if the level is right: --far"

// Distance says how far a level is from the known level: in levels, and in time.
func (l Limit) Distance(level int32) string {
	d, where := int64(level)-int64(l.From.Level), "above"
	if d < 0 {
		d, where = -d, "below"
	}
	what := "the highest known mark"
	if l.From.Node {
		what = "the node's head"
	}
	return fmt.Sprintf("%d levels (%s) %s %s, level %d", d, Span(d), where, what, l.From.Level)
}

// Span is the time that a number of levels takes, for people: "11 h 40 min".
func Span(levels int64) string {
	minutes := (levels*int64(BlockTime/time.Second) + 59) / 60
	days, hours, minutes := minutes/(24*60), minutes/60%24, minutes%60
	switch {
	case days >= 2*365:
		return fmt.Sprintf("%d years", days/365)
	case days > 0:
		return fmt.Sprintf("%d d %d h", days, hours)
	case hours > 0:
		return fmt.Sprintf("%d h %d min", hours, minutes)
	}
	return fmt.Sprintf("%d min", minutes)
}
