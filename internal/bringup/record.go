// Package bringup brings a backup machine into service: the checklist, the run through its steps, the times of a
// switch, and the record. With the record, an interrupted checklist continues at the same step.
package bringup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"highwater/internal/checklist"
)

// Version of the record.
const Version = 1

// Bounds of a record.
const (
	MaxSize    = 4 << 20 // bytes; the sum of the bounds below, each character escaped
	maxEntries = 64
	maxDrills  = 20 // the newest are kept
	maxLines   = 40 // of a drill
	maxLevels  = 1000
	maxText    = 2000 // bytes
	maxLine    = 500
)

var (
	// ErrContent is returned for bytes without a valid record.
	ErrContent = errors.New("not a record of a bring-up")
	// ErrVersion is returned for the record of a later version.
	ErrVersion = errors.New("a record of an unknown version")
)

// Entry is the result of a step.
type Entry struct {
	Step   string           `json:"step"`
	Result checklist.Result `json:"result"`
	Detail string           `json:"detail"`         // the evidence, or the operator's words
	Hint   string           `json:"hint,omitempty"` // the advice
	At     time.Time        `json:"at"`             // UTC, to the second
}

// Drill is a measured switch, or a look without a switch.
type Drill struct {
	At       time.Time        `json:"at"`       // UTC, to the second
	Handover bool             `json:"handover"` // the right to sign moved, and came back; false: only a look
	Result   checklist.Result `json:"result"`
	Lines    []checklist.Line `json:"lines"`
	ThereMS  *float64         `json:"there_ms"` // the longest time without a signer, on the way here
	BackMS   *float64         `json:"back_ms"`
	Levels   []int32          `json:"levels"`   // levels at which the machine signed
	Missed   []int32          `json:"missed"`   // levels with rights, without our operation on chain; null: nobody looked
	MaySign  string           `json:"may_sign"` // after the drill, in one sentence
}

// Record is the checklist's present state. The zero value: never begun.
type Record struct {
	Version  int       `json:"version"`
	Instance string    `json:"instance"` // in hex; empty until the instance has a watermark file
	Chain    string    `json:"chain"`
	Started  time.Time `json:"started"` // UTC, to the second
	Updated  time.Time `json:"updated"`
	Entries  []Entry   `json:"entries"`
	Drills   []Drill   `json:"drills"` // the newest last
	// UnderWay is the time at which a drill moved the right to sign here; null: the right went back since.
	UnderWay *time.Time `json:"under_way"`
}

// New makes a record.
func New(chain string, now time.Time) *Record {
	return &Record{
		Version: Version, Chain: chain, Started: stamp(now), Updated: stamp(now), Entries: []Entry{},
		Drills: []Drill{},
	}
}

// Entry finds the result of a step.
func (r *Record) Entry(step string) (Entry, bool) {
	i := slices.IndexFunc(r.Entries, func(e Entry) bool { return e.Step == step })
	if i < 0 {
		return Entry{}, false
	}
	return r.Entries[i], true
}

// Line is the entry as a line of a checklist.
func (e Entry) Line() checklist.Line {
	return checklist.New(checklist.ID(e.Step), e.Result, e.Detail, e.Hint)
}

// Put keeps the result of a step, in the place of an earlier result.
func (r *Record) Put(e Entry) {
	e.At, e.Detail, e.Hint = stamp(e.At), clip(e.Detail), clip(e.Hint)
	r.Updated = e.At
	i := slices.IndexFunc(r.Entries, func(have Entry) bool { return have.Step == e.Step })
	if i < 0 {
		r.Entries = append(r.Entries, e)
		return
	}
	r.Entries[i] = e
}

// AddDrill keeps a drill; the oldest gives way. Of several looks in a row only the newest is kept.
func (r *Record) AddDrill(d Drill) {
	d.At, d.MaySign = stamp(d.At), clip(d.MaySign)
	d.Lines = append([]checklist.Line{}, d.Lines[:min(len(d.Lines), maxLines)]...)
	for i := range d.Lines {
		l := &d.Lines[i]
		l.ID, l.MayPass = "", false // earlier releases read the file, too
		l.Name, l.Detail, l.Hint = clipTo(maxLine, l.Name), clipTo(maxLine, l.Detail), clipTo(maxLine, l.Hint)
	}
	d.Levels, d.Missed = d.Levels[:min(len(d.Levels), maxLevels)], d.Missed[:min(len(d.Missed), maxLevels)]
	r.Updated = d.At
	if last := len(r.Drills) - 1; last >= 0 && !d.Handover && !r.Drills[last].Handover {
		r.Drills = r.Drills[:last]
	}
	r.Drills = append(r.Drills, d)
	r.Drills = slices.Clone(r.Drills[max(0, len(r.Drills)-maxDrills):])
}

// Begin notes that a drill is about to take the right to sign.
func (r *Record) Begin(now time.Time) { at := stamp(now); r.UnderWay = &at }

// End notes that the right went back.
func (r *Record) End() { r.UnderWay = nil }

func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// clip bounds a text, and replaces characters that a terminal cannot show.
func clip(text string) string { return clipTo(maxText, text) }

func clipTo(longest int, text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) <= longest {
		return text
	}
	cut := longest - len("…")
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

// Encode gives the bytes of the file. Parse accepts no different bytes.
func Encode(r *Record) ([]byte, error) {
	if err := r.sound(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return nil, err
	}
	if b.Len() > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, where at most %d are read", ErrContent, b.Len(), MaxSize)
	}
	return b.Bytes(), nil
}

// Parse reads Encode's bytes, byte for byte. On an error the record is nil.
func Parse(data []byte) (*Record, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, where at most %d are read", ErrContent, len(data), MaxSize)
	}
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrContent, err)
	}
	if head.Version != Version {
		return nil, fmt.Errorf("%w: version %d, and the program knows %d", ErrVersion, head.Version, Version)
	}
	r := &Record{}
	dec := json.NewDecoder(io.LimitReader(bytes.NewReader(data), MaxSize))
	dec.DisallowUnknownFields()
	if err := dec.Decode(r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrContent, err)
	}
	again, err := Encode(r)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, data) {
		return nil, fmt.Errorf("%w: highwater wrote different bytes", ErrContent)
	}
	return r, nil
}

// sound checks the rules beyond JSON.
func (r *Record) sound() error {
	bad := func(what string) error { return fmt.Errorf("%w: %s", ErrContent, what) }
	if r.Version != Version || r.Entries == nil || r.Drills == nil || len(r.Instance) > maxText || len(r.Chain) > maxText {
		return bad("impossible fields")
	}
	if len(r.Entries) > maxEntries || len(r.Drills) > maxDrills {
		return bad("too many entries")
	}
	if !isStamp(r.Started) || !isStamp(r.Updated) || r.UnderWay != nil && !isStamp(*r.UnderWay) {
		return bad("an impossible time")
	}
	seen := map[string]bool{}
	for _, e := range r.Entries {
		if seen[e.Step] || e.Step == "" || len(e.Step) > maxText || !slices.Contains(checklist.Results, e.Result) ||
			!isStamp(e.At) || !fits(e.Detail, e.Hint) {
			return bad(fmt.Sprintf("an impossible entry %.80q", e.Step))
		}
		seen[e.Step] = true
	}
	for _, d := range r.Drills {
		if !d.sound() {
			return bad("an impossible drill")
		}
	}
	return nil
}

func (d Drill) sound() bool {
	if !isStamp(d.At) || d.Lines == nil || !slices.Contains(checklist.Results, d.Result) || !fits(d.MaySign) ||
		len(d.Lines) > maxLines || len(d.Levels) > maxLevels || len(d.Missed) > maxLevels {
		return false
	}
	for _, ms := range []*float64{d.ThereMS, d.BackMS} {
		if ms != nil && (*ms < 0 || math.IsNaN(*ms) || math.IsInf(*ms, 0)) {
			return false
		}
	}
	return !slices.ContainsFunc(d.Lines, func(l checklist.Line) bool {
		return !slices.Contains(checklist.Results, l.Result) || !fits(l.Name, l.Detail, l.Hint)
	})
}

func fits(texts ...string) bool {
	return !slices.ContainsFunc(texts, func(t string) bool { return len(t) > maxText || !utf8.ValidString(t) })
}

func isStamp(t time.Time) bool {
	_, offset := t.Zone()
	return offset == 0 && t.Equal(stamp(t)) && t.Year() >= 1970 && t.Year() <= 9999
}
