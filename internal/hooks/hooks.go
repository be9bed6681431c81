// Package hooks tells an operator's own programs, a command and a webhook, of changes of role, alarms and warnings.
package hooks

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os/exec"
	"syscall"
	"time"

	"highwater/hwm"
	"highwater/internal/early"
)

// Event goes to a hook as one JSON object: on a command's standard input, or in the body of a webhook's request.
type Event struct {
	Event    string         `json:"event"` // role, alarm, warning, warning_over
	At       time.Time      `json:"at"`
	Instance hwm.InstanceID `json:"instance"`
	Role     string         `json:"role,omitempty"`
	Epoch    uint64         `json:"epoch,omitempty"`
	Alarm    hwm.AlarmName  `json:"alarm,omitempty"`   // as in signer.AlarmNames
	Warning  string         `json:"warning,omitempty"` // as in early.Names
	Of       string         `json:"of,omitempty"`      // of a warning: the device, key, certificate …
	Text     string         `json:"text"`
	Hint     string         `json:"hint,omitempty"` // of an alarm or a warning: the remedy
}

// Config names the hooks. Command and Webhook may both be empty.
type Config struct {
	Command  string // run by /bin/sh
	Webhook  string // an http(s) address
	Timeout  time.Duration
	Instance hwm.InstanceID
	Log      *slog.Logger
}

// Hooks tells an operator's own programs of changes of role, alarms and warnings. Role, Alarm and Warning never wait: a
// slow program does not delay signing.
type Hooks struct {
	cfg    Config
	events chan Event
	http   *http.Client
}

// Bounds of hooks.
const (
	hookTimeout = 10 * time.Second
	maxEvents   = 64 // waiting events; a further event is logged and lost
	maxOutput   = 4 << 10
)

// New makes hooks. Run sends the events.
func New(cfg Config) *Hooks {
	if cfg.Timeout == 0 {
		cfg.Timeout = hookTimeout
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Hooks{
		cfg: cfg, events: make(chan Event, maxEvents),
		http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}
}

// Role tells of a change of role.
func (h *Hooks) Role(r hwm.RoleRecord) {
	h.tell(Event{Event: "role", Role: r.Role.String(), Epoch: r.Epoch, Text: r.Why})
}

// Alarm sends an alarm to the hooks. A person must look at each alarm.
func (h *Hooks) Alarm(a hwm.Alarm) {
	h.tell(Event{Event: "alarm", Alarm: a.Name, Text: a.Text, Hint: a.Hint})
}

// Warning sends an early warning to the hooks, and again when it is over.
func (h *Hooks) Warning(w early.Warning, over bool) {
	e := Event{Event: "warning", Warning: string(w.Name), Of: w.Of, Text: w.Text, Hint: w.Hint}
	if over {
		e.Event, e.Hint = "warning_over", ""
	}
	h.tell(e)
}

func (h *Hooks) tell(e Event) {
	if h.cfg.Command == "" && h.cfg.Webhook == "" {
		return
	}
	e.At, e.Instance = time.Now().UTC(), h.cfg.Instance
	select {
	case h.events <- e:
	default:
		h.cfg.Log.Error("hook not told", "event", e.Event, "text", e.Text)
	}
}

// Run sends one event after the other until ctx ends. After that, Run still sends the current and the waiting events,
// within one time-out.
func (h *Hooks) Run(ctx context.Context) {
	telling, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		select {
		case <-time.After(h.cfg.Timeout):
			cancel()
		case <-telling.Done():
		}
	})()
	for {
		select {
		case e := <-h.events:
			h.fire(telling, e)
		case <-ctx.Done():
			for len(h.events) > 0 {
				h.fire(telling, <-h.events)
			}
			return
		}
	}
}

func (h *Hooks) fire(ctx context.Context, e Event) {
	body, err := json.Marshal(e)
	if err != nil {
		return // an Event always encodes
	}
	if h.cfg.Command != "" {
		h.one(ctx, "command", body, h.run)
	}
	if h.cfg.Webhook != "" {
		h.one(ctx, "webhook", body, h.post)
	}
}

// one sends to a single hook. Each hook has its own time-out, so a hung command takes no time from the webhook.
func (h *Hooks) one(ctx context.Context, name string, body []byte, tell func(context.Context, []byte) error) {
	ctx, cancel := context.WithTimeout(ctx, h.cfg.Timeout)
	defer cancel()
	if err := tell(ctx, body); err != nil {
		h.cfg.Log.Error("hook failed", "hook", name, "error", err)
	}
}

func (h *Hooks) run(ctx context.Context, body []byte) error {
	c := exec.CommandContext(ctx, "/bin/sh", "-c", h.cfg.Command) //nolint:gosec // the operator's own command
	c.Stdin = bytes.NewReader(body)
	c.WaitDelay = time.Second                           // a child left behind may hold the output open
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the shell's children end with the shell
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	var said head
	c.Stdout, c.Stderr = &said, &said
	if err := c.Run(); err != nil {
		return fmt.Errorf("%w: %.200q", err, said)
	}
	return nil
}

// head keeps the beginning of a command's output.
type head []byte

func (b *head) Write(p []byte) (int, error) {
	*b = append(*b, p[:min(len(p), maxOutput-len(*b))]...)
	return len(p), nil
}

func (h *Hooks) post(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.cfg.Webhook, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := h.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()                                                                //nolint:errcheck // unread
	if _, err := io.CopyN(io.Discard, resp.Body, maxOutput); err != nil && err != io.EOF { //nolint:errorlint // its own
		return err
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("it answered %s", resp.Status)
	}
	return nil
}
