package api

import (
	"time"

	"highwater/operate"
)

// maxRights bounds the coming rights on the page; /status has all.
const maxRights = 8

// restart is the answer to the question of a restart; At is nil where no countdown belongs to the answer.
type restart struct {
	Text string
	At   *time.Time
}

// Restart tells whether a restart of this machine costs a right.
func (v pageView) Restart() restart {
	text, at := v.Status.Restart(time.Now())
	if at.IsZero() {
		return restart{text, nil}
	}
	return restart{text, &at}
}

// NextRights are the nearest rights.
func (v pageView) NextRights() []operate.NextRight {
	if v.Rights == nil {
		return nil
	}
	return v.Rights.Next[:min(len(v.Rights.Next), maxRights)]
}

// MoreRights counts the rights that the page leaves out.
func (v pageView) MoreRights() int {
	if v.Rights == nil {
		return 0
	}
	return max(0, len(v.Rights.Next)-maxRights)
}
