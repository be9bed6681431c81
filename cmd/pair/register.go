package pair

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/hwm"
	"highwater/internal/config"
	"highwater/internal/daemon"
	"highwater/internal/hints"
	"highwater/register"
	"highwater/register/etcd"
)

const registerLong = `Several instances share the right to sign through one record in etcd, instead of a pair. The
record names an owner and a horizon. The owner signs up to the horizon, and moves the horizon along with the
chain. When the owner is gone, the next instance takes over above the horizon, without an operator. See
docs/register.md.`

const registerInitLong = `Make the first record, at the signing instance, stopped. The record holds the instance's
exact watermarks: the first owner starts above these marks. From now on the instance signs by the register only.

In etcd, make a user for the record alone, with read and write. The command prints the KEY of the record. NAME
is the common name of the certificate in [register] cert:

  etcdctl role add highwater
  etcdctl role grant-permission highwater readwrite KEY
  etcdctl user add NAME --no-password
  etcdctl user grant-role NAME highwater`

func (a *app) registerCmd() *cobra.Command {
	var yes bool
	create := a.AddJSON(&cobra.Command{
		Use: "init", Short: "Make the first record, at the signing instance, stopped", Long: registerInitLong,
		Args:    cli.NoArgs,
		Example: "  highwater register init",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := a.Confirmable(yes); err != nil {
				return err
			}
			return a.shared(c.Context(), func(cfg *config.Config, in *daemon.Instance) error {
				err := a.registerInit(c.Context(), cfg, in, yes)
				in.Admin.NoteAct(c.Context(), "register init", cfg.RegisterKey(), err)
				return err
			})
		},
	})
	create.Flags().BoolVar(&yes, "yes", false,
		"do not ask: I state that no second signer has signed with the keys above the watermarks here")
	show := a.AddJSON(&cobra.Command{
		Use: "show", Short: "Read the record, and show who may sign", Args: cli.NoArgs,
		Example: "  highwater register show --json",
		Long:    "Read the record in etcd, and show the owner, the horizon and the revision. Nothing is written.",
		RunE:    func(c *cobra.Command, _ []string) error { return a.registerShow(c.Context()) },
	})
	return cli.Group("register", "Share the right to sign among several machines, through etcd", registerLong,
		"  highwater register show", create, show, a.detachCmd())
}

// shared runs f at a stopped instance with [register].
func (a *app) shared(ctx context.Context, f func(*config.Config, *daemon.Instance) error) error {
	return a.Offline(ctx, func(cfg *config.Config, in *daemon.Instance) error {
		if !cfg.Shared() {
			return noRegister(cfg)
		}
		return f(cfg, in)
	})
}

func noRegister(cfg *config.Config) error {
	return hints.Add(errors.New("no register is configured"),
		"see [register] in docs/register.md; the configuration is "+cfg.Path)
}

// registerWait bounds one conversation with the register. Each member has a second.
const registerWait = 10 * time.Second

func (a *app) registerInit(ctx context.Context, cfg *config.Config, in *daemon.Instance, yes bool) error {
	if _, paired := in.Store.Peer(); paired {
		return hints.Add(errors.New("this instance has a peer"), "highwater peer remove, on both machines")
	}
	if err := neverShared(in.Store.RegisterSeen()); err != nil {
		return err
	}
	role := in.Store.Role()
	if role.Role != hwm.Active || role.Owner != in.Store.Instance() {
		return hints.Add(fmt.Errorf("this instance is on %s: the signing instance makes the first record", role.Role),
			"run the command there; or, if nobody signs yet, first "+hints.Level("highwater activate --level", 0))
	}
	marks, err := register.MarksOf(in.Store, in.Signer)
	if err != nil {
		return err
	}
	if len(marks) == 0 {
		return hints.Add(errors.New("this instance has no watermark yet"), hints.Level("highwater hwm set --all --level", 0))
	}
	level := int32(0)
	for _, m := range marks {
		level = max(level, m.Level)
	}
	question := fmt.Sprintf("Is it certain that no second signer has signed with the keys above the watermarks here\n"+
		"(the highest is at level %d)?", level)
	if err = a.Confirm(yes, question, "init"); err != nil {
		return err
	}
	return a.withRegister(ctx, cfg, 0, registerWait, func(ctx context.Context, r *etcd.Register) error {
		e, rec, err := firstRecord(ctx, r, cfg, register.First(cfg.ChainID, role.Epoch, level, marks))
		if err != nil {
			return err
		}
		err = in.Store.SeeRegister(func(s *hwm.RegisterSeen) {
			*s = hwm.RegisterSeen{
				Cluster: e.Version.Cluster, Revision: e.Version.Revision, Epoch: rec.Epoch,
				Horizon: rec.Horizon,
			}
		})
		if err != nil {
			return err
		}
		if err = a.showRecord(cfg, rec, e.Version); err != nil || a.AsJSON {
			return err
		}
		a.Note("next: highwater serve here, then on the other machines, with the same [register]")
		return nil
	})
}

// neverShared refuses a first record where a record was seen: after a loss of the record the marks of a former owner
// may lie below the signatures of the last owner.
func neverShared(seen hwm.RegisterSeen) error {
	if seen.Cluster == 0 || seen.Detached != 0 {
		return nil
	}
	return hints.Add(
		fmt.Errorf("this instance has seen a record already, in epoch %d, up to level %d: no first record is made",
			seen.Epoch, seen.Horizon),
		`highwater register show; when the record is gone: docs/register.md, "A register that went back"`)
}

// firstRecord makes the first record. A record of the same content was made by an earlier try, whose answer was lost.
func firstRecord(ctx context.Context, r register.Backend, cfg *config.Config, first []byte) (
	e register.Entry, rec register.Record, err error,
) {
	e, created, err := r.Create(ctx, first)
	switch {
	case errors.Is(err, register.ErrRefused):
		return e, rec, registerFault(err)
	case err != nil:
		return e, rec, hints.Add(fmt.Errorf("it is not known whether the record was made: %w", err),
			"highwater register init, once more, before this instance signs again")
	}
	if rec, err = register.Parse(e.Value); err != nil {
		return e, rec, err
	}
	want, err := register.Parse(first)
	if want.Nonce = rec.Nonce; err == nil && !created && !reflect.DeepEqual(want, rec) {
		err = hints.Add(fmt.Errorf("the record exists already, under %s", cfg.RegisterKey()),
			"highwater register show; a second group of keys has its own `name`")
	}
	return e, rec, err
}

func (a *app) withRegister(ctx context.Context, cfg *config.Config, cluster uint64, limit time.Duration,
	f func(context.Context, *etcd.Register) error,
) error {
	r, err := daemon.OpenRegister(cfg, cluster, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return errors.Join(f(ctx, r), r.Close())
}

func (a *app) registerShow(ctx context.Context) error {
	cfg, err := a.Config()
	if err != nil {
		return err
	}
	if !cfg.Shared() {
		return noRegister(cfg)
	}
	return a.withRegister(ctx, cfg, 0, registerWait, func(ctx context.Context, r *etcd.Register) error {
		e, err := r.Read(ctx)
		if errors.Is(err, register.ErrAbsent) {
			return hints.Add(err, `a first record: highwater register init, at the instance that signs now; a lost record: `+
				`docs/register.md, "A register that went back"`)
		}
		if err != nil {
			return registerFault(err)
		}
		rec, err := register.Parse(e.Value)
		if err != nil {
			return err
		}
		return a.showRecord(cfg, rec, e.Version)
	})
}

// registerFault adds the next step to the fault of a register.
func registerFault(err error) error {
	if errors.Is(err, register.ErrRefused) {
		return hints.Add(err, "see: highwater check; and docs/register.md")
	}
	return hints.Add(err, "is a majority of the members up? See: highwater check; and docs/register.md")
}

// recordReport is a record as JSON.
type recordReport struct {
	Key string `json:"key"`
	register.Version
	Record register.Record `json:"record"`
}

func (a *app) showRecord(cfg *config.Config, rec register.Record, at register.Version) error {
	if a.AsJSON {
		return a.JSON(recordReport{cfg.RegisterKey(), at, rec})
	}
	a.Say("record    %s, in cluster %x at revision %d", cfg.RegisterKey(), at.Cluster, at.Revision)
	if rec.Released() {
		a.Say("owner     nobody: released, with %d watermarks", len(rec.Marks))
	} else {
		a.Say("owner     %s", rec.Owner)
	}
	a.Say("epoch     %d\nsigns     above level %d, up to level %d", rec.Epoch, rec.Floor, rec.Horizon)
	return nil
}
