//go:build linux

package gadget

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
)

// Event is a message of a gadget program, one JSON object a line.
type Event struct {
	Event string `json:"event"`          // "ready", "done", "failed", "key", "cut", "signed"
	Text  string `json:"text,omitempty"` // the command, the error, the public key, …
}

// Console speaks with the starter of a gadget program: commands come as lines, events go as lines.
type Console struct {
	in *bufio.Scanner

	mu  sync.Mutex
	out *json.Encoder
}

// NewConsole makes a console.
func NewConsole(in io.Reader, out io.Writer) *Console {
	return &Console{in: bufio.NewScanner(in), out: json.NewEncoder(out)}
}

// Tell tells an event.
func (c *Console) Tell(event, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.out.Encode(Event{event, fmt.Sprintf(format, args...)}) // nobody listens any more: the input ends too
}

// ErrUnknown is the error of a handler for an unknown command.
var ErrUnknown = errors.New("unknown command")

// Run hands each command to do, until the input ends.
func (c *Console) Run(do func(verb string, args []string) error) error {
	c.Tell("ready", "")
	for c.in.Scan() {
		words := strings.Fields(c.in.Text())
		if len(words) == 0 {
			continue
		}
		if err := do(words[0], words[1:]); err != nil {
			c.Tell("failed", "%s: %v", c.in.Text(), err)
			continue
		}
		c.Tell("done", "%s", c.in.Text())
	}
	return c.in.Err()
}

// Cable handles the commands "plug [UDC]" and "unplug".
func Cable(g *Gadget, verb string, args []string) error {
	switch verb {
	case "plug":
		udc := ""
		if len(args) > 0 {
			udc = args[0]
		}
		_, err := g.Plug(udc)
		return err
	case "unplug":
		return g.Unplug()
	}
	return fmt.Errorf("%w: %s", ErrUnknown, verb)
}
