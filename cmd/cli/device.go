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

// DeviceFlags choose a device of a kind, and the time to wait for the device.
type DeviceFlags struct {
	Kind    string
	Device  string // name of the device; empty: the only device
	Timeout time.Duration
}

// Flags adds the device flags to a command.
func (f *DeviceFlags) Flags(c *cobra.Command) {
	c.Flags().StringVar(&f.Device, "device", "", "the device's `NAME` in the configuration, when there are several")
	c.Flags().DurationVar(&f.Timeout, "timeout", DefaultWait,
		"how long to wait for the device, and for you: a `TIME`, as 30s or 2m")
}

// DefaultWait is how long a command waits for a device, or for a person at the device.
const DefaultWait = 60 * time.Second

// infoWait is how long a command waits for an answer without a confirmation. An old Ledger takes a second for each key.
const infoWait = 2 * Patience

// names gives the named device, or all configured devices of the kind.
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
		return nil, hints.Add(fmt.Errorf("no %s named %q is configured", f.Kind, f.Device),
			"configured: "+strings.Join(all, ", "))
	case len(all) == 0:
		return nil, hints.Add(fmt.Errorf("no %s is configured", f.Kind),
			"add a [[device]] with kind = \""+f.Kind+"\" to "+cfg.Path)
	}
	return all, nil
}

// one gives the only device of the command.
func (f *DeviceFlags) one(cfg *config.Config) (string, error) {
	all, err := f.names(cfg)
	if err == nil && len(all) > 1 {
		err = hints.Add(terminal.Usagef("%d are configured: choose with --device", len(all)),
			"configured: "+strings.Join(all, ", "))
	}
	if err != nil {
		return "", err
	}
	return all[0], nil
}

// OnDevice runs a command on one device.
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

// awaited tells whether the device waits for a person to plug in, enter the PIN or open the app. A locked TezSign is
// not awaited: the gadget answers verbs.
func (f *DeviceFlags) awaited(h device.Health) bool {
	return h == device.Absent || h == device.NoApp || h == device.WrongApp || h == device.Locked &&
		f.Kind == config.KindLedger
}

// Ask runs a verb on one device, and shows the result; with --json, the result itself. An answer without a confirmation
// has the shorter bound infoWait.
func Ask[R any](c *cobra.Command, a *App, f *DeviceFlags, verb string, args any,
	say func(name string, r R) error,
) error {
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

// AskEach asks all devices of a kind for their identity. A silent device gets a row with its problem. The exit status
// is 1 when no device answers.
func AskEach[R any](c *cobra.Command, a *App, f *DeviceFlags, args any, problem func(name, text string) R,
	say func([]R) error,
) error {
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
		a.Note("hint: no %s was found: connect and unlock the device. The buses, and each device's fault: highwater check",
			f.Kind)
		return ErrSaid
	})
}

// Call runs a verb on a device, shows the device's prompts with a countdown, and decodes the result.
func Call[R any](ctx context.Context, a *App, admin operate.Admin, f *DeviceFlags, name, verb string, args any) (
	R, error,
) {
	var result R
	raw, err := json.Marshal(args)
	if err != nil {
		return result, err
	}
	defer clear(raw) // the arguments may hold a passphrase
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

// late explains a missing answer by the device's health, which says more than the timeout.
func late(ctx context.Context, admin operate.Admin, f *DeviceFlags, name string, err error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if st, statusErr := admin.Status(ctx); statusErr == nil {
		i := slices.IndexFunc(st.Devices, func(d operate.DeviceRow) bool { return d.Name == name })
		if i >= 0 && f.awaited(st.Devices[i].Health) {
			d := st.Devices[i]
			return hints.Add(fmt.Errorf("nothing came back within %s: %s is %s: %s", f.Timeout, name, d.Health, d.Detail),
				d.Advice)
		}
	}
	hint := hints.Of(err)
	if hint == "" {
		hint = "answer the prompt on the device's screen; --timeout gives more time"
	}
	return hints.Add(fmt.Errorf("nothing came back within %s: %w", f.Timeout, err), hint)
}

// countdown shows the device's prompt and, on a terminal, the time left.
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
