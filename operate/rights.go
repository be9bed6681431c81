package operate

import (
	"fmt"
	"time"

	"highwater/internal/rights"
	"highwater/internal/tezos"
	"highwater/internal/words"
)

// Pauses between rights.
const (
	PauseWanted = time.Minute      // for a restart
	settling    = 10 * time.Second // after the time of a level, its signatures are given
)

// Rights are the coming rights of the keys.
type Rights struct {
	Next    []NextRight `json:"next"`              // the first of each key and kind, the nearest first
	Known   int32       `json:"known"`             // the last level with known rights to attest; 0: none yet
	Until   *time.Time  `json:"until,omitempty"`   // the estimated time of that level
	Pause   *Pause      `json:"pause,omitempty"`   // the first pause of PauseWanted
	Problem string      `json:"problem,omitempty"` // why the node tells no rights
}

// NextRight is a coming right to make a block of round 0, or to attest.
type NextRight struct {
	PKH   tezos.PublicKeyHash `json:"pkh"`
	Alias string              `json:"alias,omitempty"`
	Kind  tezos.Kind          `json:"kind"`
	Level int32               `json:"level"`
	At    *time.Time          `json:"at,omitempty"` // an estimate, as if every level took one round; null: not known yet
}

// Pause is a time without a right.
type Pause struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// rightsAhead reads the coming rights; nil without a node.
func (l *Local) rightsAhead(keys []KeyRow) *Rights {
	if l.Rights == nil {
		return nil
	}
	out := &Rights{Next: []NextRight{}}
	if problem := l.Rights.Problem(); problem != nil {
		out.Problem = problem.Error()
	}
	out.Known, _ = l.Rights.Planned()
	aliases := map[tezos.PublicKeyHash]string{}
	for _, k := range keys {
		aliases[k.PKH] = words.ShortAlias(k.Alias)
	}
	from := l.Now()
	l.Rights.EachPending(func(r rights.Right) { // signatures of the head are under way
		from = later(from, r.At.Add(settling))
	})
	out.Until = known(l.Rights.At(out.Known))
	out.fill(l.planned.read(l.Rights.Version(), l.Rights.Each), aliases, from)
	return out
}

// fill tells the first rights, and the first pause after a time and up to the last known level.
func (v *Rights) fill(p plan, aliases map[tezos.PublicKeyHash]string, from time.Time) {
	for _, r := range p.firsts {
		v.Next = append(v.Next, NextRight{r.PKH, aliases[r.PKH], r.Kind, r.Level, known(r.At)})
	}
	v.pause(p.busy, from)
}

// pause finds the first pause between the levels with rights.
func (v *Rights) pause(busy []busyLevel, from time.Time) {
	ends := v.Until != nil // the last known level ends the last pause, with or without a right
	for _, m := range busy {
		if m.level > v.Known {
			break
		}
		if v.between(from, m.at) {
			return
		}
		from, ends = later(from, m.at.Add(settling)), ends && m.level < v.Known
	}
	if ends {
		v.between(from, *v.Until)
	}
}

// between takes a time without a right as the pause, if the time is long enough.
func (v *Rights) between(from, to time.Time) bool {
	if to.Sub(from) < PauseWanted {
		return false
	}
	v.Pause = &Pause{from.UTC(), to.UTC()}
	return true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func known(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	at = at.UTC()
	return &at
}

// Restart answers whether a restart of this machine costs a right. The moment in the answer is when the answer ends, or
// when the pause begins; zero: none.
func (s Status) Restart(now time.Time) (text string, moment time.Time) {
	r := s.Rights
	switch {
	case !s.Signing:
		return "This machine does not sign now: a restart here costs no signature.", time.Time{}
	case r == nil:
		return "The coming rights are not known: set `node` in the configuration.", time.Time{}
	case r.Problem != "":
		return "The coming rights are not known: the node does not tell: " + r.Problem, time.Time{}
	case r.Known == 0:
		return "The coming rights are not known yet.", time.Time{}
	case len(r.Next) == 0 || r.Next[0].Level > r.Known:
		return fmt.Sprintf("No right up to level %d: a restart before that level costs none.", r.Known), time.Time{}
	case r.Next[0].At == nil:
		return "The times of the coming rights are not known yet: two heads of the node tell.", time.Time{}
	case r.Pause == nil:
		return fmt.Sprintf("No pause of a minute up to level %d: a restart may cost a right. Next right", r.Known),
			*r.Next[0].At
	case r.Pause.From.After(now):
		return fmt.Sprintf("Do not restart now. A pause of %s begins", Spell(r.Pause.To.Sub(r.Pause.From))), r.Pause.From
	}
	return "A restart now costs no right. Next right", r.Pause.To
}

// Spell writes a time with minutes: "1 min 40 s".
func Spell(d time.Duration) string {
	s := int(d / time.Second)
	if s < 60 {
		return fmt.Sprintf("%d s", s)
	}
	if s < 3600 {
		return fmt.Sprintf("%d min %d s", s/60, s%60)
	}
	return fmt.Sprintf("%d h %d min", s/3600, s%3600/60)
}

// In spells the time until a moment: "in 1 min 40 s", "now".
func In(d time.Duration) string {
	if d < time.Second {
		return "now"
	}
	return "in " + Spell(d)
}
