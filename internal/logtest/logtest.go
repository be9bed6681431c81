// Package logtest is a log in memory. A test reads the log while other goroutines write.
package logtest

import (
	"bytes"
	"strings"
	"sync"
)

// Log takes the lines of a log. The zero value is empty. A Log is safe for concurrent use.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// String is the whole text up to now.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Lines are the lines with a text, without their ends.
func (l *Log) Lines(with string) (out []string) {
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, with) {
			out = append(out, strings.TrimSuffix(line, "\n"))
		}
	}
	return out
}
