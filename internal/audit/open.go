package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// open finds the end of the log, and goes on there. What follows the last good record is kept aside and named.
func (w *writer) open() error {
	if err := os.MkdirAll(w.cfg.Dir, 0o700); err != nil {
		return err
	}
	if err := w.spare(); err != nil {
		return err
	}
	torn, last, err := w.findLast()
	if err != nil {
		return err
	}
	if last == nil || last.size >= w.fileSize() {
		if err := w.begin(); err != nil {
			return err
		}
	} else if err := w.goOn(*last); err != nil {
		return err
	}
	w.buf = w.buf[:0]
	next, link := w.next, w.link
	for _, e := range torn {
		w.addEvent(e)
	}
	if !w.began {
		w.addEvent(Event{At: w.cfg.Now(), What: Started})
	}
	if err := w.flush(); err != nil {
		w.next, w.link = next, link
		return err
	}
	w.began = true
	return nil
}

// openEnd is the last file, and its end.
type openEnd struct {
	file
	end
}

// findLast finds the last file with a good beginning, and sets the bytes behind the last good record aside. The events
// name the findings; nil: no file exists.
func (w *writer) findLast() (found []Event, last *openEnd, err error) {
	files, err := list(w.cfg.Dir, logName)
	if err != nil {
		return nil, nil, err
	}
	var torn []file
	for len(files) > 0 {
		f := files[len(files)-1]
		e, err := findEnd(f)
		if err != nil {
			return nil, nil, err
		}
		if e.at > 0 {
			last = &openEnd{f, e}
			break
		}
		torn = append(torn, f) // no header: nothing of it is readable
		files = files[:len(files)-1]
	}
	found = w.takeEnd(last)
	for _, f := range torn {
		aside := w.freeAside()
		if err := os.Rename(f.path, aside); err != nil {
			return nil, nil, err
		}
		if f.size > 0 {
			found = append(found, w.gapOf("a file without a readable beginning was kept aside", aside, f.size))
		}
	}
	if last == nil {
		return found, nil, nil
	}
	switch {
	case last.fault != nil:
		aside := w.freeAside()
		if err := w.setAside(last.file, last.at, aside); err != nil {
			return nil, nil, err
		}
		found = append(found, w.gapOf("the end of the file was not readable, and was kept aside", aside, last.size-last.at))
		last.size = last.at
	case !last.inOrder && !w.began:
		found = append(found, Event{
			At: w.cfg.Now(), What: Gap, Why: "the run before did not end in order: the last decisions may be missing",
		})
	}
	return found, last, nil
}

// takeEnd goes on behind the last record of the disk. Where this process wrote another one, the log says so.
func (w *writer) takeEnd(last *openEnd) []Event {
	next, link := uint64(1), Hash{}
	if last != nil {
		next, link = last.next, last.link
	}
	if !w.began {
		w.next, w.link = next, link
		return nil
	}
	if next == w.next && link == w.link {
		return nil
	}
	why := fmt.Sprintf("this process wrote record %d, and the files ended at %d", w.next-1, next-1)
	if last != nil {
		w.next, w.link = next, link
	}
	return []Event{{At: w.cfg.Now(), What: Gap, Why: why}}
}

func (w *writer) gapOf(why, aside string, n int64) Event {
	return Event{At: w.cfg.Now(), What: Gap, Why: why, File: filepath.Base(aside), Bytes: n}
}

// freeAside is a path without a file, for bytes that are no record.
func (w *writer) freeAside() string {
	for n := w.next; ; n++ {
		path := filepath.Join(w.cfg.Dir, asideOf(n))
		if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
			return path
		}
	}
}

// goOn opens the last file behind its last good record.
func (w *writer) goOn(last openEnd) error {
	f, err := os.OpenFile(last.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	w.file, w.at, w.texts, w.fresh = f, last.at, map[string]uint16{}, nil
	for i, text := range last.texts {
		w.texts[text] = uint16(i + 1)
	}
	return w.trim()
}
