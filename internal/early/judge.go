package early

import "time"

// finding is a condition at one look.
type finding struct {
	name       Name
	of         string
	state      state
	text, hint string
}

// state is how a number stands to its limits. Between the limits nothing changes: a number that moves around one limit
// makes one warning.
type state uint8

const (
	fair    state = iota // below the lower limit: the warning ends
	between              // the warning stays as before
	bad                  // above the upper limit: the warning begins
)

type subject struct {
	name Name
	of   string
}

// trouble is a condition with its past.
type trouble struct {
	Warning
	stands    bool
	bad, fair time.Time // since when without a pause; zero: not now
}

// begins is for how long a condition must be bad before its warning begins; none: at the first look.
var begins = map[Name]time.Duration{
	DeviceHeld: 30 * time.Second, MarksAhead: time.Minute, NotFollowing: 2 * time.Minute, AuditUnwritten: time.Minute,
	BakerSilent: time.Minute, KeyUnheld: 2 * time.Minute, NodeSilent: 30 * time.Second,
}

// ends is for how long a condition must be fair before its warning ends; none: a look is enough.
var ends = map[Name]time.Duration{
	SlowSignatures: time.Minute, DeviceHeld: time.Minute, MarksAhead: time.Minute, NotFollowing: time.Minute,
	RegisterSilent: time.Minute, AuditUnwritten: time.Minute, NodeSilent: time.Minute,
	KeyUnheld: time.Minute,
}

// judge begins and ends warnings. A condition that no finding names is fair: its device or certificate is gone.
func (w *Watch) judge(found []finding, now time.Time) {
	named := map[subject]bool{}
	for _, f := range found {
		s := subject{f.name, f.of}
		named[s] = true
		c, ok := w.cases[s]
		if !ok {
			if f.state != bad {
				continue
			}
			c = &trouble{Warning: Warning{Name: f.name, Of: f.of}}
			w.cases[s] = c
		}
		w.weigh(c, f, now)
	}
	for s, c := range w.cases {
		if !named[s] {
			w.weigh(c, finding{}, now)
		}
		if !c.stands && c.bad.IsZero() {
			delete(w.cases, s)
		}
	}
}

// weigh holds a finding against the past of its condition.
func (w *Watch) weigh(c *trouble, f finding, now time.Time) {
	c.bad, c.fair = since(c.bad, f.state == bad, now), since(c.fair, f.state == fair, now)
	switch {
	case f.state == bad:
		c.Text, c.Hint = f.text, f.hint
		if !c.stands && now.Sub(c.bad) >= begins[c.Name] {
			c.stands, c.Since = true, now.UTC()
			w.log.Warn("early warning", "warning", string(c.Name), "of", c.Of, "text", c.Text, "hint", c.Hint)
			w.tell(c.Warning, false)
		}
	case c.stands && f.state == fair && now.Sub(c.fair) >= ends[c.Name]:
		c.stands = false
		w.log.Info("early warning over", "warning", string(c.Name), "of", c.Of)
		w.tell(c.Warning, true)
	}
}

// since is the beginning of a time in which something holds without a pause.
func since(before time.Time, holds bool, now time.Time) time.Time {
	switch {
	case !holds:
		return time.Time{}
	case before.IsZero():
		return now
	}
	return before
}
