package cli

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

// DeviceFlags choose a device of a kind, and how long to wait for it.
type DeviceFlags struct {
	Kind    string
	Device  string // its name; empty: the only one
	Timeout time.Duration
}

// Flags gives a command these flags.
func (f *DeviceFlags) Flags(c *cobra.Command) {
	c.Flags().StringVar(&f.Device, "device", "", "the device's `NAME` in the configuration, when there are several")
	c.Flags().DurationVar(&f.Timeout, "timeout", DefaultWait, "how long to wait for the device, and for you")
}

// DefaultWait is how long a command waits for a device, or for a person in front of it.
const DefaultWait = 60 * time.Second

// infoWait is how long a command waits for an answer that nobody has to confirm: an old Ledger takes a second for each
// key.
const infoWait = 2 * Patience

// names gives the configured devices of the kind, or the one that was named.
func (f *DeviceFlags) names(cfg *config.Config) ([]string, error) {
	var all []string
	for _, d := range cfg.Devices {
		if d.Kind != f.Kind {
			continue
		}
		if d.Name == f.Device {
			return []string{d.Name}, nil
		}
		all = append(all, d.Name)
	}
	switch {
	case f.Device != "":
		return nil, hints.Add(fmt.Errorf("no %s named %q is configured", f.Kind, f.Device), "configured: "+strings.Join(all, ", "))
	case len(all) == 0:
		return nil, hints.Add(fmt.Errorf("no %s is configured", f.Kind), "add a [[device]] with kind = \""+f.Kind+"\" to "+cfg.Path)
	}
	return all, nil
}

// one gives the device that a command is for.
func (f *DeviceFlags) one(cfg *config.Config) (string, error) {
	all, err := f.names(cfg)
	if err == nil && len(all) > 1 {
		err = hints.Add(terminal.Usagef("%d are configured: choose with --device", len(all)), "configured: "+strings.Join(all, ", "))
	}
	if err != nil {
		return "", err
	}
	return all[0], nil
}

// OnDevice runs a command about one device.
func (a *App) OnDevice(ctx context.Context, f *DeviceFlags, do func(admin operate.Admin, name string) error) error {
	cfg, err := a.Config()
	if err != nil {
		return err
	}
	name, err := f.one(cfg)
	if err != nil {
		return err
	}
	return a.WithAdmin(ctx, true, func(_ *config.Config, admin operate.Admin) error {
		st, err := admin.Status(ctx)
		if err != nil {
			return err
		}
		for _, d := range st.Devices {
			if d.Name == name && f.awaited(d.Health) {
				a.Note("waiting for %s (%s), %s at most: %s", name, d.Health, f.Timeout, d.Advice)
			}
		}
		return do(admin, name)
	})
}

// awaited tells of a device that answers no verb before somebody does something: plugs it in, enters its PIN, opens the
// right app. A TezSign that is locked does answer.
func (f *DeviceFlags) awaited(h device.Health) bool {
	return h == device.Absent || h == device.NoApp || h == device.WrongApp || h == device.Locked && f.Kind == config.KindLedger
}

// Ask is the outline of most of these commands: a verb of one device, and what is said of its result. With --json it is
// the result. A question that nobody has to confirm is not waited for as long as a person is.
func Ask[R any](c *cobra.Command, a *App, f *DeviceFlags, verb string, args any, say func(name string, r R) error) error {
	if verb == "info" && !c.Flags().Changed("timeout") {
		f.Timeout = infoWait
	}
	return a.OnDevice(c.Context(), f, func(admin operate.Admin, name string) error {
		r, err := Call[R](c.Context(), a, admin, f, name, verb, args)
		if err != nil {
			return err
		}
		if a.AsJSON {
			return a.JSON(r)
		}
		return say(name, r)
	})
}

// AskEach asks all devices of a kind who they are. One that does not answer has a view of its own: its problem. Exit
// status 1 when none of them answers.
func AskEach[R any](c *cobra.Command, a *App, f *DeviceFlags, args any, problem func(name, text string) R, say func([]R) error) error {
	cfg, err := a.Config()
	if err != nil {
		return err
	}
	names, err := f.names(cfg)
	if err != nil {
		return err
	}
	brief := *f
	brief.Timeout = min(f.Timeout, infoWait)
	return a.WithAdmin(c.Context(), true, func(_ *config.Config, admin operate.Admin) error {
		views, found := []R{}, 0
		for _, name := range names {
			v, err := Call[R](c.Context(), a, admin, &brief, name, "info", args)
			if err != nil {
				v = problem(name, err.Error())
			} else {
				found++
			}
			views = append(views, v)
		}
		if a.AsJSON {
			say = func(views []R) error { return a.JSON(views) }
		}
		if err := say(views); err != nil || found > 0 {
			return err
		}
		a.Note("hint: no %s was found: connect and unlock the device. The buses, and each device's fault: highwater check", f.Kind)
		return ErrSaid
	})
}

// Call asks a device for a verb, shows what it shows with a countdown, and decodes the result.
func Call[R any](ctx context.Context, a *App, admin operate.Admin, f *DeviceFlags, name, verb string, args any) (R, error) {
	var result R
	raw, err := json.Marshal(args)
	if err != nil {
		return result, err
	}
	defer clear(raw) // they may hold a passphrase
	ctx, cancel := context.WithTimeout(ctx, f.Timeout)
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
func late(ctx context.Context, admin operate.Admin, f *DeviceFlags, name string, err error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if st, statusErr := admin.Status(ctx); statusErr == nil {
		i := slices.IndexFunc(st.Devices, func(d operate.DeviceRow) bool { return d.Name == name })
		if i >= 0 && f.awaited(st.Devices[i].Health) {
			d := st.Devices[i]
			return hints.Add(fmt.Errorf("nothing came back within %s: %s is %s: %s", f.Timeout, name, d.Health, d.Detail), d.Advice)
		}
	}
	hint := hints.Of(err)
	if hint == "" {
		hint = "answer the prompt on the device's screen; --timeout gives more time"
	}
	return hints.Add(fmt.Errorf("nothing came back within %s: %w", f.Timeout, err), hint)
}

// countdown shows what a device waits for, and on a terminal how long it is still waited for.
type countdown struct {
	app   *App
	until time.Time
	mu    sync.Mutex
	text  string
	stop  chan struct{}
	done  chan struct{}
}

func (a *App) newCountdown(ctx context.Context) *countdown {
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
