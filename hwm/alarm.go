package hwm

import (
	"strings"
	"time"
)

// AlarmName says what kind of alarm it is.
type AlarmName string

// Alarm is something that an operator should look into.
type Alarm struct {
	ID      uint64    `json:"id"` // grows; an alarm whose text changed is a new one
	Name    AlarmName `json:"name"`
	Witness string    `json:"witness"`         // who knows of it: a device, the chain, the other instance
	About   string    `json:"about,omitempty"` // the address of a key
	Text    string    `json:"text"`
	Hint    string    `json:"hint"`
	Since   time.Time `json:"since"` // UTC, to the millisecond
}

// Bounds of what is kept of alarms.
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
