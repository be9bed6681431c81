package audit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"highwater/internal/loghead"
)

// Known is the end of a log at some time, from a place outside of the log.
type Known = loghead.Head

// Fault is a place at which a log differs from the written log.
type Fault struct {
	File   string `json:"file,omitempty"`
	Record uint64 `json:"record"`
	Text   string `json:"text"`
}

// Note is no fault, and worth knowing.
type Note struct {
	Record uint64    `json:"record"`
	At     time.Time `json:"at"`
	Text   string    `json:"text"`
}

// Report is the result of Verify.
type Report struct {
	Files     int     `json:"files"`
	Bytes     int64   `json:"bytes"`
	First     uint64  `json:"first"` // number of the first record
	Last      uint64  `json:"last"`
	Link      Hash    `json:"link"`     // of the last record
	Instance  string  `json:"instance"` // by the newest readable header
	Decisions uint64  `json:"decisions"`
	Found     []Known `json:"found"` // the known ends that the log has
	Faults    []Fault `json:"faults"`
	Notes     []Note  `json:"notes"`

	known   map[uint64][]Known // not met yet
	removed uint64             // the last record that the log itself removed
	broken  bool               // the last file had a fault: the next file cannot be compared with its end
}

// maxFaults bounds the faults of a report, and the notes.
const maxFaults = 1000

func (r *Report) fault(file string, record uint64, format string, args ...any) {
	r.broken = true
	if len(r.Faults) < maxFaults {
		r.Faults = append(r.Faults, Fault{filepath.Base(file), record, fmt.Sprintf(format, args...)})
	}
}

func (r *Report) note(record uint64, at time.Time, text string) {
	if len(r.Notes) < maxFaults {
		r.Notes = append(r.Notes, Note{record, at, text})
	}
}

// Verify reads a whole log. Faults of its content are in the report; the error is of the disk, or: there is no log. The
// known ends tell of a log that was cut off, or written anew as a whole.
func Verify(dir string, known ...Known) (Report, error) {
	r := Report{Found: []Known{}, Faults: []Fault{}, Notes: []Note{}, known: map[uint64][]Known{}}
	files, err := filesOf(dir)
	if err != nil {
		return r, err
	}
	for _, k := range known {
		r.known[k.Record] = append(r.known[k.Record], k)
	}
	r.First, r.Last = files[0].first, files[0].first-1
	for i, f := range files {
		if err := r.verifyFile(f, i == 0, i == len(files)-1); err != nil {
			return r, err
		}
	}
	if r.First > r.removed+1 { // removed files may be there still: the record comes first
		r.fault(files[0].path, r.First, "the log begins here, and a record of the log says: records up to %d were removed", r.removed)
	}
	for record := range r.known {
		switch {
		case record > r.Last:
			r.fault(files[len(files)-1].path, r.Last, "the log ends here, but record %d is known: the end was cut off", record)
		case record < r.First:
			r.fault(files[0].path, r.First, "the log begins here: the known record %d was removed with the oldest files, "+
				"and cannot be compared", record)
		default:
			r.fault("", record, "the known record was not found: a fault before hides the record")
		}
	}
	return r, nil
}

// filesOf lists the files of a log, oldest first; an error without any.
func filesOf(dir string) ([]file, error) {
	files, err := list(dir, logName)
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no audit log is in %s", dir)
	}
	return files, err
}

// verifyFile goes through a file. A fault ends the file: the link behind a fault proves nothing.
func (r *Report) verifyFile(f file, first, last bool) (err error) {
	in, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	r.Files, r.Bytes = r.Files+1, r.Bytes+f.size
	return r.verifyRecords(io.LimitReader(in, f.size), f, first, last) // a running signer adds records meanwhile
}

// verifyRecords goes through the bytes of a file.
func (r *Report) verifyRecords(in io.Reader, f file, first, last bool) error {
	want := follows{first, r.broken, r.Last + 1, r.Link}
	r.broken = false
	s := newScanner(in)
	var texts []string
	for n := f.first; ; n++ {
		kind, body, err := s.next()
		if last && n > f.first {
			err = s.atTheEnd(err)
		}
		switch {
		case errors.Is(err, io.EOF) && n > f.first:
			return nil
		case errors.Is(err, errTorn):
			r.note(n, time.Time{}, fmt.Sprintf("%d bytes at the end are half a record, or zeros: a write under way, a power cut, or a cut",
				f.size-s.at))
			return nil
		case errors.Is(err, io.EOF):
			r.fault(f.path, n, "the file is empty")
			return nil
		case isDisk(err):
			return err
		case err != nil:
			r.fault(f.path, n, "%s", err)
			r.Last = max(r.Last, n-1)
			return nil
		}
		if n == f.first && !r.begins(f, kind, body, want) {
			return nil
		}
		r.Last, r.Link = n, s.link
		for _, k := range r.known[n] {
			if k.Link != s.link {
				r.fault(f.path, n, "the record is not the known record: the log was written anew up to here, or is another log")
				continue
			}
			r.Found = append(r.Found, k)
		}
		delete(r.known, n)
		if texts, err = r.look(n, kind, body, texts); err != nil {
			r.fault(f.path, n, "%s", err)
		}
	}
}

// follows is what the header of a file is compared with.
type follows struct {
	first, unknown bool // the oldest file; the file before has a fault
	record         uint64
	link           Hash
}

// begins judges the header of a file: whether the file follows the file before.
func (r *Report) begins(f file, kind byte, body []byte, want follows) bool {
	if kind != typeHeader {
		r.fault(f.path, f.first, "the file has no header")
		return false
	}
	h, err := readHeader(body)
	if err == nil {
		r.Instance = h.Instance
	}
	switch {
	case err != nil:
		r.fault(f.path, f.first, "%s", err)
		return false
	case h.Record != f.first:
		r.fault(f.path, f.first, "the file is a different file by its header, of record %d", h.Record)
		return false
	case want.first && h.Record == 1 && h.Before != Hash{}:
		r.fault(f.path, f.first, "the first record of all follows another record")
	case want.first || want.unknown:
	case h.Record != want.record:
		r.fault(f.path, f.first, "the file does not follow the file before, which ends at record %d", want.record-1)
	case h.Before != want.link:
		r.fault(f.path, f.first, "the file does not follow the file before: either file was exchanged or cut")
	}
	return true
}

// look reads a record as far as Verify needs it.
func (r *Report) look(n uint64, kind byte, body []byte, texts []string) ([]string, error) {
	switch kind {
	case typeDecision:
		r.Decisions++
		return texts, soundDecision(body, len(texts))
	case typeName:
		return append(texts, ""), nil
	case typeHeader:
		return texts, nil
	case typeEvent:
		e, err := readEvent(body)
		if err != nil {
			return texts, err
		}
		switch e.What {
		case Removed:
			r.removed = e.UpTo
		case Gap:
			r.note(n, e.At, e.gapText())
		}
		return texts, nil
	}
	return texts, fmt.Errorf("a record of the unknown type %q", kind)
}

func (e *Event) gapText() string {
	text := "gap: " + e.Why
	if e.Count > 0 {
		text = fmt.Sprintf("gap of %d decisions: %s", e.Count, e.Why)
	}
	if e.File != "" {
		text += fmt.Sprintf(" (%d bytes in %s)", e.Bytes, e.File)
	}
	return text
}

func isDisk(err error) bool {
	var bad *os.PathError
	return errors.As(err, &bad)
}
