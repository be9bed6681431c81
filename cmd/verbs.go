package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"highwater/internal/config"
	"highwater/internal/device"
	"highwater/internal/hints"
	"highwater/internal/terminal"
	"highwater/operate"
)

// deviceFlags choose a device of a kind, and how long to wait for it.
type deviceFlags struct {
	kind    string
	device  string
	timeout time.Duration
}

func (f *deviceFlags) flags(c *cobra.Command) {
	c.Flags().StringVar(&f.device, "device", "", "the device's `NAME` in the configuration, when there are several")
	c.Flags().DurationVar(&f.timeout, "timeout", defaultWait, "how long to wait for the device, and for you")
}

// defaultWait is how long a command waits for a device, or for a person in front of it.
const defaultWait = 60 * time.Second

// infoWait is how long a command waits for an answer that nobody has to confirm: an old Ledger takes a second for each key.
const infoWait = 2 * patience

// names gives the configured devices of the kind, or the one that was named.
func (f *deviceFlags) names(cfg *config.Config) ([]string, error) {
	var all []string
	for _, d := range cfg.Devices {
		if d.Kind != f.kind {
			continue
		}
		if d.Name == f.device {
			return []string{d.Name}, nil
		}
		all = append(all, d.Name)
	}
	switch {
	case f.device != "":
		return nil, hints.Add(fmt.Errorf("no %s named %q is configured", f.kind, f.device), "configured: "+strings.Join(all, ", "))
	case len(all) == 0:
		return nil, hints.Add(fmt.Errorf("no %s is configured", f.kind), "add a [[device]] with kind = \""+f.kind+"\" to "+cfg.Path)
	}
	return all, nil
}

// one gives the device that a command is for.
func (f *deviceFlags) one(cfg *config.Config) (string, error) {
	all, err := f.names(cfg)
	if err == nil && len(all) > 1 {
		err = hints.Add(terminal.Usagef("there are %d: say which with --device", len(all)), "configured: "+strings.Join(all, ", "))
	}
	if err != nil {
		return "", err
	}
	return all[0], nil
}

// onDevice runs a command about one device.
func (a *app) onDevice(ctx context.Context, f *deviceFlags, do func(admin operate.Admin, name string) error) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	name, err := f.one(cfg)
	if err != nil {
		return err
	}
	return a.withAdmin(ctx, true, func(_ *config.Config, admin operate.Admin) error {
		st, err := admin.Status(ctx)
		if err != nil {
			return err
		}
		for _, d := range st.Devices {
			if d.Name == name && f.awaited(d.Health) {
				a.Note("waiting for %s, which is %s, %s at most: %s", name, d.Health, f.timeout, d.Advice)
			}
		}
		return do(admin, name)
	})
}

// awaited tells of a device that answers no verb before somebody does something: plugs it in, enters its PIN, opens the right app. A TezSign
// that is locked does answer.
func (f *deviceFlags) awaited(h device.Health) bool {
	return h == device.Absent || h == device.NoApp || h == device.WrongApp || h == device.Locked && f.kind == config.KindLedger
}

// ask is the outline of most of these commands: a verb of one device, and what is said of its result. With --json it is the result. A question
// that nobody has to confirm is not waited for as long as a person is.
func ask[R any](c *cobra.Command, a *app, f *deviceFlags, verb string, args any, say func(name string, r R) error) error {
	if verb == "info" && !c.Flags().Changed("timeout") {
		f.timeout = infoWait
	}
	return a.onDevice(c.Context(), f, func(admin operate.Admin, name string) error {
		r, err := call[R](c.Context(), a, admin, f, name, verb, args)
		if err != nil {
			return err
		}
		if a.jsonFlag {
			return a.JSON(r)
		}
		return say(name, r)
	})
}

// askEach asks all devices of a kind who they are. One that does not answer has a view of its own: its problem. Exit status 1 when none
// of them answers.
func askEach[R any](c *cobra.Command, a *app, f *deviceFlags, args any, problem func(name, text string) R, say func([]R) error) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	names, err := f.names(cfg)
	if err != nil {
		return err
	}
	brief := *f
	brief.timeout = min(f.timeout, infoWait)
	return a.withAdmin(c.Context(), true, func(_ *config.Config, admin operate.Admin) error {
		views, found := []R{}, 0
		for _, name := range names {
			v, err := call[R](c.Context(), a, admin, &brief, name, "info", args)
			if err != nil {
				v = problem(name, err.Error())
			} else {
				found++
			}
			views = append(views, v)
		}
		if a.jsonFlag {
			say = func(views []R) error { return a.JSON(views) }
		}
		if err := say(views); err != nil || found > 0 {
			return err
		}
		a.Note("hint: no %s was found: connect the device and unlock it; what is on the buses, and what each device lacks: highwater check", f.kind)
		return errSaid
	})
}

// call asks a device for a verb, shows what it shows with a countdown, and decodes the result.
func call[R any](ctx context.Context, a *app, admin operate.Admin, f *deviceFlags, name, verb string, args any) (R, error) {
	var result R
	raw, err := json.Marshal(args)
	if err != nil {
		return result, err
	}
	defer clear(raw) // they may hold a passphrase
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	countdown := a.newCountdown(ctx)
	answer, err := admin.DeviceCall(ctx, operate.DeviceCall{Device: name, Verb: verb, Args: raw}, countdown.show)
	countdown.end()
	if err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return result, late(context.WithoutCancel(ctx), admin, f, name, err)
		}
		return result, err
	}
	err = json.Unmarshal(answer, &result)
	return result, err
}

// late says why nothing came back in time: what is known of the device says more than where the wait ended.
func late(ctx context.Context, admin operate.Admin, f *deviceFlags, name string, err error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if st, statusErr := admin.Status(ctx); statusErr == nil {
		i := slices.IndexFunc(st.Devices, func(d operate.DeviceRow) bool { return d.Name == name })
		if i >= 0 && f.awaited(st.Devices[i].Health) {
			d := st.Devices[i]
			return hints.Add(fmt.Errorf("nothing came back within %s: %s is %s: %s", f.timeout, name, d.Health, d.Detail), d.Advice)
		}
	}
	hint := hints.Of(err)
	if hint == "" {
		hint = "answer what is on the device's screen; --timeout gives more time"
	}
	return hints.Add(fmt.Errorf("nothing came back within %s: %w", f.timeout, err), hint)
}

// countdown shows what a device waits for, and on a terminal how long it is still waited for.
type countdown struct {
	app   *app
	until time.Time
	mu    sync.Mutex
	text  string
	stop  chan struct{}
	done  chan struct{}
}

func (a *app) newCountdown(ctx context.Context) *countdown {
	until, _ := ctx.Deadline()
	c := &countdown{app: a, until: until, stop: make(chan struct{}), done: make(chan struct{})}
	go c.run()
	return c
}

func (c *countdown) show(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = text
	c.app.Note("%s", text)
}

func (c *countdown) run() {
	defer close(c.done)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-tick.C:
			c.mu.Lock()
			if c.text != "" && c.app.Interactive {
				fmt.Fprintf(c.app.Err, "\r\x1b[Kwaiting: %d s ", int(time.Until(c.until).Seconds()))
			}
			c.mu.Unlock()
		}
	}
}

func (c *countdown) end() {
	close(c.stop)
	<-c.done
	if c.text != "" && c.app.Interactive {
		fmt.Fprint(c.app.Err, "\r\x1b[K")
	}
}
