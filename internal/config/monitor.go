package config

import (
	"time"

	"highwater/internal/early"
)

// Monitor is the listener for metrics and the status page, with the limits of early warnings.
type Monitor struct {
	Listen        string    `toml:"listen"`
	SlowSignature *Duration `toml:"slow_signature"`
	SlowSync      *Duration `toml:"slow_sync"`
	TimeUsedUp    *int      `toml:"time_used_up"`
	Reconnects    *int      `toml:"reconnects"`
	MarksAhead    *int32    `toml:"marks_ahead"`
	SilentRights  *int      `toml:"silent_rights"`
	MissedRights  *int      `toml:"missed_rights"`
}

// maxWarningCount bounds the numbers of early warnings: what a memory of half an hour holds.
const maxWarningCount = 200

// Limits are the limits of early warnings.
func (m Monitor) Limits() early.Limits {
	l := early.Defaults
	set(&l.SlowSignature, (*time.Duration)(m.SlowSignature))
	set(&l.SlowSync, (*time.Duration)(m.SlowSync))
	set(&l.TimeUsedUp, m.TimeUsedUp)
	set(&l.Reconnects, m.Reconnects)
	set(&l.MarksAhead, m.MarksAhead)
	set(&l.SilentRights, m.SilentRights)
	set(&l.MissedRights, m.MissedRights)
	return l
}

// set puts a configured value in the place of a default.
func set[T any](to, configured *T) {
	if configured != nil {
		*to = *configured
	}
}

func (m Monitor) check(f *faultList) {
	checkAddress(f, "monitor.listen", m.Listen)
	l := m.Limits()
	checkTime := func(name string, d time.Duration) {
		if d < 0 || d > time.Minute {
			f.add("monitor.%s: %s; the time lies between 0 (no warning) and 1m", name, d)
		}
	}
	checkTime("slow_signature", l.SlowSignature)
	checkTime("slow_sync", l.SlowSync)
	checkCount := func(name string, n int) {
		if n < 0 || n > maxWarningCount {
			f.add("monitor.%s: %d; the number lies between 0 (no warning) and %d", name, n, maxWarningCount)
		}
	}
	checkCount("time_used_up", l.TimeUsedUp)
	checkCount("reconnects", l.Reconnects)
	checkCount("silent_rights", l.SilentRights)
	checkCount("missed_rights", l.MissedRights)
	if l.MarksAhead < 0 {
		f.add("monitor.marks_ahead: %d; the number is not negative; 0: no warning", l.MarksAhead)
	}
}
