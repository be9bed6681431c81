// Package tezsignrec reads recordings of a TezSign gadget (testdata/tezsign) for tests.
package tezsignrec

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"time"
)

// Event is one frame of a recording.
type Event struct {
	At        time.Duration // since the recording began
	Section   string        // the heading above the frame
	Interface int           // 0 sign, 1 management
	FromHost  bool
	Raw       []byte // header and payload
}

// Read reads a recording: headings "## …", and for each frame a line "[  12.345 ms] IF0 -> device …", a line "hdr",
// lines "body".
func Read(path string) ([]Event, error) {
	f, err := os.Open(path) //nolint:gosec // tests name the file
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read only
	var out []Event
	section := ""
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case word == "##":
			section = rest
		case strings.HasPrefix(line, "["):
			e, err := parseHead(line)
			if err != nil {
				return nil, err
			}
			e.Section = section
			out = append(out, e)
		case (word == "hdr" || word == "body") && len(out) > 0:
			b, err := hex.DecodeString(strings.ReplaceAll(rest, " ", ""))
			if err != nil {
				return nil, fmt.Errorf("%q: %w", line, err)
			}
			out[len(out)-1].Raw = append(out[len(out)-1].Raw, b...)
		}
	}
	return out, lines.Err()
}

func parseHead(line string) (Event, error) {
	var e Event
	var ms float64
	var dir string
	if _, err := fmt.Sscanf(line, "[%f ms] IF%d %s device", &ms, &e.Interface, &dir); err != nil {
		return Event{}, fmt.Errorf("%q: %w", line, err)
	}
	e.At, e.FromHost = time.Duration(ms*float64(time.Millisecond)), dir == "->"
	return e, nil
}
