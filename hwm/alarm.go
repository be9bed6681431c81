package hwm

import (
	"strings"
	"time"
)

// AlarmName is the kind of an alarm.
type AlarmName string

// Alarm asks an operator to look.
type Alarm struct {
	ID      uint64    `json:"id"` // grows; an alarm whose text changed is a new alarm
	Name    AlarmName `json:"name"`
	Witness string    `json:"witness"`         // the source: a device, the chain, the peer
	About   string    `json:"about,omitempty"` // the address of a key
	Text    string    `json:"text"`
	Hint    string    `json:"hint"`
	Since   time.Time `json:"since"` // UTC, to the millisecond
}

// Bounds of a kept alarm.
const (
	MaxAlarms    = 64
	MaxAlarmText = 1000 // bytes, of a text and of a hint
)

// CutAlarm bounds a text of an alarm.
func CutAlarm(text string) string {
	text = strings.ToValidUTF8(text, "?")
	if len(text) > MaxAlarmText {
		text = strings.ToValidUTF8(text[:MaxAlarmText], "")
	}
	return text
}
