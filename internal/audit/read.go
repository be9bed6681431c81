package audit

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// Each gives the decisions and events of a log, oldest first, until take says no. The first fault of the content is an
// error, with the number of its record: what lies behind proves nothing. An unfinished record at the end is left out.
func Each(dir string, take func(Row) bool) error {
	files, err := filesOf(dir)
	if err != nil {
		return err
	}
	for i, f := range files {
		if more, err := eachOf(f, i == len(files)-1, take); err != nil || !more {
			return err
		}
	}
	return nil
}

func eachOf(f file, last bool, take func(Row) bool) (more bool, err error) {
	in, err := os.Open(f.path)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	return eachRow(io.LimitReader(in, f.size), f.first, last, take)
}

// eachRow reads the records of one file.
func eachRow(in io.Reader, first uint64, last bool, take func(Row) bool) (more bool, err error) {
	s := newScanner(in)
	var texts []string
	for n := first; ; n++ {
		kind, body, err := s.next()
		if last {
			err = s.atTheEnd(err)
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, errTorn):
			return true, nil
		case isDisk(err):
			return false, err
		case err != nil:
			return false, fmt.Errorf("record %d: %w", n, err)
		}
		row := Row{Record: n, Link: s.link}
		switch kind {
		case typeName:
			texts = append(texts, string(body))
			continue
		case typeDecision:
			row.At, row.Decision, err = readDecision(body, texts)
		case typeEvent:
			if row.Event, err = readEvent(body); err == nil {
				row.At = row.Event.At
			}
		case typeHeader:
			continue
		default:
			err = fmt.Errorf("unknown type %q", kind)
		}
		if err != nil {
			return false, fmt.Errorf("record %d: %w", n, err)
		}
		if !take(row) {
			return false, nil
		}
	}
}
