package pair

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/hwm"
	"highwater/internal/config"
	"highwater/internal/daemon"
	"highwater/internal/hints"
	"highwater/internal/terminal"
	"highwater/internal/tezos"
	"highwater/register"
	"highwater/register/etcd"
	"highwater/store"
)

const registerDetachLong = `Leave the register for good, at a stopped instance. The instance goes on alone, and asks
the register no more. The command rests on your statement that no other instance can sign: their processes are
stopped, and do not come back with the register. If the statement is false, two instances sign, and you are
slashed.

Where the register answers, the command looks for an owner that lives: the command waits for 15 seconds, and is
refused when an owner elsewhere moves its horizon meanwhile. To move the right in a working register, use highwater
handover or highwater takeover: no statement is needed.

Every watermark is raised above every place that any instance may have signed: ten levels above the horizon in
the register (if the register answers), above the newest horizon known here, and above LEVEL, the chain's head,
plus ` + "`ahead`" + `. A fenced instance stays fenced.`

func (a *app) detachCmd() *cobra.Command {
	var alone bool
	var head cli.LevelValue
	c := a.AddJSON(&cobra.Command{
		Use: "detach", Short: "Leave the register for good, and go on alone", Long: registerDetachLong, Args: cli.NoArgs,
		Example: "  highwater register detach --the-other-instances-cannot-sign --head head+0",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := cli.Wants(c, "head"); err != nil {
				return err
			}
			level, err := a.Level(c.Context(), "head", head)
			if err != nil {
				return err
			}
			if !alone {
				return hints.Add(errors.New("nobody stated that the other instances cannot sign"),
					fmt.Sprintf("stop the other instances for good, and run: "+
						"highwater register detach --the-other-instances-cannot-sign --head %d", level))
			}
			return a.shared(c.Context(), func(cfg *config.Config, in *daemon.Instance) error {
				err := a.detach(c.Context(), cfg, in, level)
				in.Admin.NoteAct(c.Context(), "register detach", fmt.Sprintf("with the head at level %d", level), err)
				return err
			})
		},
	})
	c.Flags().BoolVar(&alone, "the-other-instances-cannot-sign", false,
		"I state: all other instances are stopped, and do not come back with the register")
	c.Flags().Var(&head, "head", "`LEVEL` of the chain's head (a number, or head+N)")
	return c
}

func (a *app) detach(ctx context.Context, cfg *config.Config, in *daemon.Instance, head int32) error {
	var last register.Record
	cluster, limit := in.Store.RegisterSeen().Cluster, registerWait+livingWait
	unread := a.withRegister(ctx, cfg, cluster, limit, func(ctx context.Context, r *etcd.Register) (err error) {
		last, err = lastRecord(ctx, r, in.Store.Instance())
		return err
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(unread, errLives) {
		return unread
	}
	floor := detachFloor(in.Store.RegisterSeen(), last, head, cfg.Register.Ahead)
	if err := leaveRegister(in.Store, cfg.ChainID, last, floor); err != nil {
		return err
	}
	if a.AsJSON {
		return a.JSON(map[string]any{"floor": floor, "detached": true, "register_read": unread == nil})
	}
	a.Say("%s: this instance is alone again, and signs nothing at or below level %d",
		a.Paint(terminal.Green, "detached"), floor)
	if unread != nil {
		a.Note("the register was not read: %v", unread)
		a.Note("so the floor rests on --head, and on the newest horizon known here")
	}
	a.Note("next: take [register] out of %s; highwater activate; highwater serve", cfg.Path)
	return nil
}

// detachMargin is the smallest distance from all known levels to the floor of a detached instance.
const detachMargin = 10

// detachFloor is a level that no instance can have signed beyond: an owner signs up to its horizon, at most ahead levels
// above the head of the chain.
func detachFloor(seen hwm.RegisterSeen, last register.Record, head, ahead int32) int32 {
	highest := max(int64(head)+int64(ahead), int64(seen.Horizon), int64(last.Horizon))
	return int32(min(highest+detachMargin, math.MaxInt32)) //nolint:gosec // bounded
}

// leaveRegister makes the floors durable, for every mark here and in the record, before the departure.
func leaveRegister(db *store.DB, chain tezos.ChainID, last register.Record, floor int32) error {
	rows, err := db.Rows()
	if err != nil {
		return err
	}
	rows = slices.DeleteFunc(rows, func(r hwm.Row) bool { return r.Chain != chain })
	for _, m := range last.Marks {
		rows = append(rows, hwm.Row{Key: hwm.Key{Chain: chain, PKH: m.PKH, Kind: m.Kind}})
	}
	for i := range rows {
		rows[i].Mark = hwm.Floor(floor, time.Now(), hwm.SourceTakeover)
	}
	role := db.Role()
	if role.Role != hwm.Fenced {
		role.Role, role.Why = hwm.Standby, "left the register; stated: the other instances cannot sign"
	}
	if err = db.SetRole(role, rows); err != nil {
		return err
	}
	return db.SeeRegister(func(s *hwm.RegisterSeen) { s.Detached = time.Now().UnixMilli() })
}

// errLives refuses a departure while another instance signs.
var errLives = errors.New("another instance signs by the register")

// A living owner moves its horizon at each level.
const (
	livingWait = 15 * time.Second // two levels of mainnet, and a bit
	livingLook = 500 * time.Millisecond
)

// lastRecord gives the record of a register whose owner is gone. Where the record names another instance, lastRecord
// looks at the record for a time. errLives: the record moved.
func lastRecord(ctx context.Context, r register.Backend, me hwm.InstanceID) (register.Record, error) {
	first, err := readRecord(ctx, r)
	if err != nil || first.Owner == me || first.Released() {
		return first, err
	}
	tick := time.NewTicker(livingLook)
	defer tick.Stop()
	for end := time.After(livingWait); ; {
		select {
		case <-tick.C:
		case <-end:
			return first, nil
		case <-ctx.Done():
			return first, nil
		}
		if now, err := readRecord(ctx, r); err == nil && now.Nonce != first.Nonce {
			return now, hints.Add(fmt.Errorf("%w: the instance %s, up to level %d", errLives, now.Owner.Short(), now.Horizon),
				"the right moves without a statement: highwater handover, highwater takeover; or stop all other instances")
		}
	}
}

func readRecord(ctx context.Context, r register.Backend) (register.Record, error) {
	e, err := r.Read(ctx)
	if err != nil {
		return register.Record{}, err
	}
	return register.Parse(e.Value)
}
