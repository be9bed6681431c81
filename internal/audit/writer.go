package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of the files.
const (
	MinSize  = 16 << 20  // bytes of a bound
	parts    = 32        // files of a full log
	reserve  = 256 << 20 // bytes of the file system that are left to the watermarks
	keptTorn = 8         // files of bytes that were no record
	maxTexts = 60_000    // of a file
	maxText  = 255       // bytes
	fileMode = 0o600
)

// diskCalls are the calls to the disk that tests let fail.
type diskCalls struct {
	write  func(f *os.File, b []byte) (int, error)
	free   func(dir string) (uint64, error)
	sync   func(f *os.File) error
	remove func(path string) error
}

var realDisk = diskCalls{write: (*os.File).Write, free: free, sync: (*os.File).Sync, remove: os.Remove}

func free(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return st.Bavail * uint64(st.Bsize), nil //nolint:gosec // not negative; the type differs between systems
}

// writer is the open end of the log, of Run alone.
type writer struct {
	*Log
	file  *os.File // nil: closed
	at    int64    // length of the file's good part
	next  uint64   // number of the next record; zero: the log was not opened yet
	began bool     // the run is told
	link  Hash
	texts map[string]uint16
	fresh []string // texts that stand before the next decision
	again time.Time
	head  time.Time
	gaps  map[string]uint64 // decisions to be told as missing, by cause
	quota quota
	buf   []byte
	body  []byte
}

// lose counts decisions that the log will not have.
func (w *writer) lose(n uint64, why string) {
	w.lost.Add(n)
	w.miss(n, why)
}

func (w *writer) miss(n uint64, why string) {
	if w.gaps == nil {
		w.gaps = map[string]uint64{}
	}
	w.gaps[why] += n
}

// number gives a text its number in the file.
func (w *writer) number(text string) uint16 {
	if len(text) > maxText {
		text = text[:maxText]
	}
	n, known := w.texts[text]
	if !known {
		n = uint16(len(w.texts) + 1) //nolint:gosec // at most maxTexts and a batch
		w.texts[text] = n
		w.fresh = append(w.fresh, text)
	}
	return n
}

func (w *writer) add(kind byte, body []byte) {
	w.buf, w.link = appendRecord(w.buf, w.link, kind, body)
	w.next++
}

func (w *writer) addEvent(e Event) {
	e.At = e.At.UTC().Truncate(time.Millisecond)
	if len(e.Why) > maxText {
		e.Why = e.Why[:maxText]
	}
	body, err := json.Marshal(e)
	if err != nil || len(body) > maxBody { // six times maxText, escaped
		body = fmt.Appendf(nil, `{"at":%q,"what":%q}`, e.At.Format(time.RFC3339Nano), e.What)
	}
	w.add(typeEvent, body)
}

func (w *writer) addDecision(d *Decision) {
	w.body = appendDecision(w.body[:0], d, w)
	for _, text := range w.fresh {
		w.add(typeName, []byte(text))
	}
	w.fresh = w.fresh[:0]
	w.add(typeDecision, w.body)
}

// write adds records to the file, in one write. With an error, none of the records is there.
func (w *writer) write(entries []entry) error {
	if err := w.room(); err != nil {
		return err
	}
	next, link := w.next, w.link
	w.buf = w.buf[:0]
	if n := w.full.Swap(0); n > 0 {
		w.miss(n, "queue")
	}
	before := maps.Clone(w.gaps)
	told := w.tellGaps(entries[0].e != nil && entries[0].e.What == Ended)
	for _, e := range entries {
		switch {
		case e.head != nil: // answered after the write
		case e.e != nil:
			w.addEvent(*e.e)
		case w.quota.takes(&e.d):
			w.addDecision(&e.d)
		default:
			w.lose(1, "too many")
		}
	}
	if err := w.flush(); err != nil {
		w.next, w.link = next, link
		return err
	}
	for _, why := range told {
		w.gaps[why] -= before[why]
		if w.gaps[why] == 0 {
			delete(w.gaps, why)
		}
	}
	return nil
}

// gapTexts say why decisions are missing.
var gapTexts = map[string]string{
	"queue":    "the disk of the log was too slow",
	"disk":     "the disk of the log failed or was full",
	"too many": "too many requests of one kind in a minute",
}

// tellGaps adds a record for each gap. Requests above the quota have one record a minute, and one at the end of a run.
func (w *writer) tellGaps(last bool) (told []string) {
	now := w.cfg.Now()
	for why, n := range w.gaps {
		if why == "too many" && !w.quota.due(now) && !last {
			continue
		}
		w.addEvent(Event{At: now, What: Gap, Why: gapTexts[why], Count: n})
		told = append(told, why)
	}
	return told
}

func (w *writer) flush() error {
	n, err := w.io.write(w.file, w.buf)
	if err != nil {
		return err
	}
	w.at += int64(n)
	return nil
}

// room makes sure that the file system and the bound have room, and begins a new file when the present one is full.
func (w *writer) room() error {
	if err := w.spare(); err != nil {
		return err
	}
	if w.at < w.fileSize() && len(w.texts) < maxTexts {
		return nil
	}
	if err := w.close(); err != nil {
		return err
	}
	return w.begin()
}

// spare leaves the last part of the file system to the watermarks.
func (w *writer) spare() error {
	left, err := w.io.free(w.cfg.Dir)
	if err == nil && left < reserve {
		err = fmt.Errorf("%d MiB are free at %s: the last %d MiB are left to the watermarks", left>>20, w.cfg.Dir, reserve>>20)
	}
	return err
}

func (w *writer) fileSize() int64 { return w.cfg.MaxSize / parts }

// begin makes the next file, and removes the oldest beyond the bound.
func (w *writer) begin() error {
	path := filepath.Join(w.cfg.Dir, nameOf(w.next))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, fileMode) //nolint:gosec // in our own directory
	if err != nil {
		return err
	}
	body, err := json.Marshal(header{
		Version: version, Instance: w.cfg.Instance, Chain: w.cfg.Chain, Made: w.cfg.Now().UTC(), Record: w.next, Before: w.link,
	})
	if err != nil {
		return errors.Join(err, f.Close())
	}
	w.file, w.at, w.texts, w.fresh = f, 0, map[string]uint16{}, nil
	next, link := w.next, w.link
	w.buf = w.buf[:0]
	w.add(typeHeader, body)
	if err = w.flush(); err == nil {
		err = w.io.sync(f) // a power cut leaves no file without a header
	}
	if err != nil {
		w.next, w.link = next, link
		w.file = nil
		return errors.Join(err, f.Close(), os.Remove(path))
	}
	if err = w.syncDir(); err != nil {
		return err
	}
	return w.trim()
}

// close makes the file durable.
func (w *writer) close() error {
	f := w.file
	w.file = nil
	return errors.Join(w.io.sync(f), f.Close())
}

// abandon closes the file after a fault, and takes the half of a write back. The next open finds the file's good part.
func (w *writer) abandon() {
	if w.file != nil {
		_ = w.file.Truncate(w.at) // else the half is kept aside
		_ = w.file.Close()        // the fault is told already
		w.file = nil
	}
}

// quota bounds the records of decisions that no chain bounds: each key has its own share, all strangers have one.
type quota struct {
	minute int64
	counts map[string]int
	told   int64
}

// perMinute is the share of a key. A baker asks some 30 times a minute for a key.
const perMinute = 120

func (q *quota) takes(d *Decision) bool {
	if d.given() {
		return true
	}
	if minute := d.At.Unix() / 60; minute != q.minute || q.counts == nil {
		q.minute, q.counts = minute, map[string]int{}
	}
	share := ""
	if !d.Stranger {
		share = d.PKH.String()
	}
	q.counts[share]++
	return q.counts[share] <= perMinute
}

// due tells whether the gap of this minute may be told.
func (q *quota) due(now time.Time) bool {
	minute := now.Unix() / 60
	if minute == q.told {
		return false
	}
	q.told = minute
	return true
}
