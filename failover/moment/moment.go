package moment

import (
	"highwater/internal/chain"
	"highwater/internal/checklist"
)

// Moment is the result of a look.
type Moment struct {
	Good     bool             `json:"good"`
	Findings []checklist.Line `json:"findings"`
	Head     *int32           `json:"head"`           // null: no node tells of a head
	Next     *chain.Right     `json:"next,omitempty"` // the next block, perhaps ours
	// Starts and Gap are the gap that is waited for, or begins now: Gap free levels after the level Starts. Both are zero
	// while nothing is known.
	Starts int32 `json:"starts,omitempty"`
	Gap    int   `json:"gap,omitempty"`
}

// Nobody is the moment while nobody signs. found are the earlier lines.
func Nobody(found []checklist.Line) Moment {
	line := checklist.New(checklist.Signing, checklist.OK, "nobody signs now: nothing is gained by waiting", "")
	m := Moment{Findings: append(found, line)}
	return m.judged()
}

// judged says whether a line stands in the way.
func (m Moment) judged() Moment {
	m.Good = checklist.Stands(m.Findings) == nil
	return m
}

// Finding is the moment as one line of a longer checklist.
func (m Moment) Finding() checklist.Line {
	const id = checklist.Moment
	if f := checklist.Stands(m.Findings); f != nil {
		return checklist.New(id, checklist.Waiting, f.Name+": "+f.Detail, f.Hint)
	}
	out := checklist.New(id, checklist.OK, "good", "")
	for _, f := range m.Findings {
		if f.Result == checklist.Warning {
			return checklist.New(id, checklist.Warning, f.Name+": "+f.Detail, f.Hint)
		}
		out.Detail = f.Detail
	}
	return out
}
