package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"highwater/api"
	"highwater/internal/config"
	"highwater/internal/daemon"
	"highwater/internal/hints"
	"highwater/operate"
	"highwater/store"
	"highwater/store/disk"
)

// Patience is how long a command without a daemon waits for devices.
const Patience = 3 * time.Second

// Admin gives the admin API of the running daemon. Without a daemon, Admin opens the store, and on request the devices.
func (a *App) Admin(ctx context.Context, cfg *config.Config, devices bool) (operate.Admin, func() error, error) {
	client, err := api.Dial(ctx, cfg.Admin.Socket)
	if err == nil {
		return client.Admin(), func() error { return nil }, nil
	}
	if !errors.Is(err, api.ErrNoDaemon) {
		return operate.Admin{}, nil, hints.Add(fmt.Errorf("the daemon's socket: %w", err), disk.AccessHint(err))
	}
	in, err := daemon.Open(ctx, cfg,
		daemon.Options{Log: slog.New(slog.DiscardHandler), Version: a.Version, Devices: devices})
	if errors.Is(err, store.ErrInUse) { // a daemon that starts holds the store before the daemon listens
		if late, dialErr := api.Dial(ctx, cfg.Admin.Socket); dialErr == nil {
			return late.Admin(), func() error { return nil }, nil
		}
		return operate.Admin{}, nil, hints.Add(
			err, fmt.Sprintf("nobody answers at %s. Either a second command is at work: wait for its end. "+
				"Or the daemon has a different [admin] socket, or lost the socket: restart the daemon with this configuration",
				cfg.Admin.Socket))
	}
	if err != nil {
		return operate.Admin{}, nil, err
	}
	if !devices {
		return in.Admin.Admin(), in.Close, nil
	}
	in.Settle(ctx, Patience)
	in.Signer.Learn()
	return in.Admin.Admin(), func() error { a.leaveAlarms(in); return in.Close() }, nil
}

// leaveAlarms prints the alarms raised by this command. The command raised the marks, so the daemon will not see these
// alarms.
func (a *App) leaveAlarms(in *daemon.Instance) {
	for _, m := range in.Signer.Alarms() {
		a.Note("alarm: %s: %s\nhint: %s", m.Name, m.Text, m.Hint)
	}
}

// WithAdmin runs f with the admin API, and then closes the API.
func (a *App) WithAdmin(ctx context.Context, devices bool, f func(*config.Config, operate.Admin) error) error {
	cfg, err := a.Config()
	if err != nil {
		return err
	}
	admin, done, err := a.Admin(ctx, cfg, devices)
	if err != nil {
		return err
	}
	return errors.Join(f(cfg, admin), done())
}

// Offline opens the store for work that needs a stopped daemon.
func (a *App) Offline(ctx context.Context, f func(*config.Config, *daemon.Instance) error) error {
	cfg, err := a.Config()
	if err != nil {
		return err
	}
	in, err := daemon.Open(ctx, cfg, daemon.Options{Log: slog.New(slog.DiscardHandler), Version: a.Version})
	if errors.Is(err, store.ErrInUse) {
		return hints.Add(err, "the command needs a stopped instance: systemctl stop highwater")
	}
	if err != nil {
		return err
	}
	return errors.Join(f(cfg, in), in.Close())
}
