package marks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/hwm"
	"highwater/internal/actor"
	"highwater/internal/config"
	"highwater/internal/daemon"
	"highwater/internal/hints"
	"highwater/internal/terminal"
	"highwater/internal/tezos"
	"highwater/internal/words"
	"highwater/operate"
)

const hwmLong = `Watermarks: for each key and kind the highest signed level and round. Nothing at or below a watermark
is signed.

A mark only rises. "set" raises, "import" merges by maximum. The only way down is "lower": at a stopped
instance, with a typed confirmation and a reason. "journal" shows the reasons.`

func (a *app) hwmCmd() *cobra.Command {
	return cli.Group("hwm", "Show and raise watermarks", hwmLong, "  highwater hwm list",
		a.hwmListCmd(), a.hwmShowCmd(), a.hwmSetCmd(), a.hwmCeilingCmd(), a.hwmExportCmd(),
		a.hwmImportCmd(), a.hwmLowerCmd())
}

func (a *app) hwmListCmd() *cobra.Command {
	return a.AddJSON(&cobra.Command{
		Use: "list", Short: "List the watermarks", Args: cli.NoArgs, Example: "  highwater hwm list --json",
		Long: "List the watermarks. A key without a mark of a kind (level \"none\") signs nothing of the kind.\n" +
			"Round \"any\" is a floor: all rounds of the level are shut.",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.WithAdmin(c.Context(), false, func(_ *config.Config, admin operate.Admin) error {
				marks, err := admin.Marks(c.Context())
				if err != nil {
					return err
				}
				if a.AsJSON {
					return a.JSON(marks)
				}
				return a.MarksTable(marks)
			})
		},
	})
}

// choice is the set of keys and kinds of a command.
type choice struct {
	all   bool
	kinds []string
	level cli.LevelValue
	round int64
}

func (ch *choice) flags(c *cobra.Command) {
	c.Flags().BoolVar(&ch.all, "all", false, "all known keys")
	c.Flags().Var(&ch.level, "level", "the `LEVEL`: a number, or head+N with a node")
}

// keys finds the named keys; none, with --all, means all.
func (ch *choice) keys(ctx context.Context, admin operate.Admin, names []string) ([]tezos.PublicKeyHash, error) {
	if ch.all == (len(names) > 0) {
		return nil, hints.Add(terminal.Usagef("name keys (address or alias), or say --all"), "see: highwater keys list")
	}
	rows, err := admin.Keys(ctx)
	if err != nil {
		return nil, err
	}
	var out []tezos.PublicKeyHash
	for _, name := range names {
		if pkh, err := tezos.ParsePublicKeyHash(name); err == nil {
			out = append(out, pkh)
			continue
		}
		k, err := cli.FindKey(rows, name)
		if err != nil {
			return nil, err
		}
		out = append(out, k.PKH)
	}
	return out, nil
}

func (ch *choice) parseKinds() ([]tezos.Kind, error) {
	var out []tezos.Kind
	for _, text := range ch.kinds {
		kind, err := tezos.ParseKind(text)
		if err != nil {
			return nil, terminal.Misuse(err)
		}
		out = append(out, kind)
	}
	return out, nil
}

func (a *app) hwmSetCmd() *cobra.Command {
	var ch choice
	var far bool
	c := &cobra.Command{
		Use: "set [KEY…]", Short: "Raise watermarks to a level", Args: cobra.ArbitraryArgs,
		Long: "Raise watermarks: nothing at or below LEVEL is signed afterwards. Higher marks stay. With\n" +
			"--round the mark is at ROUND, and higher rounds of LEVEL may still be signed.",
		Example: "  highwater hwm set --all --level 8000000",
		RunE: func(c *cobra.Command, args []string) error {
			if err := cli.Wants(c, "level"); err != nil {
				return err
			}
			req := operate.RaiseRequest{Far: far}
			var err error
			if req.Level, err = a.Level(c.Context(), "level", ch.level); err != nil {
				return err
			}
			if c.Flags().Changed("round") {
				var round int32
				if round, err = cli.LevelFlag("round", ch.round); err != nil {
					return err
				}
				req.Round = &round
			}
			if req.Kinds, err = ch.parseKinds(); err != nil {
				return err
			}
			return a.WithAdmin(c.Context(), false, func(_ *config.Config, admin operate.Admin) error {
				if req.PKHs, err = ch.keys(c.Context(), admin, args); err != nil {
					return err
				}
				return a.raise(c.Context(), admin, req)
			})
		},
	}
	ch.flags(c)
	c.Flags().Int64Var(&ch.round, "round", 0, "put the mark at `ROUND` of the level (default: above all rounds)")
	c.Flags().StringSliceVar(&ch.kinds, "kind", nil, "only the `KIND`: block, preattestation, attestation (repeatable)")
	cli.FarFlag(c, &far)
	return a.AddJSON(cli.Reasoned(c))
}

func (a *app) raise(ctx context.Context, admin operate.Admin, req operate.RaiseRequest) error {
	var changes []operate.ChangeRow
	_, err := a.ConfirmFar(req.Far, false, fmt.Sprint(req.Level), func(far bool) (err error) {
		req.Far = far
		changes, err = admin.Raise(ctx, req)
		return err
	})
	if err != nil {
		return err
	}
	if a.AsJSON {
		return a.JSON(changes)
	}
	return a.changesTable(changes)
}

func (a *app) changesTable(changes []operate.ChangeRow) error {
	rows := [][]string{}
	for _, c := range changes {
		before, now := "none", c.After.String()
		if c.Before != nil {
			before = c.Before.String()
		}
		switch {
		case c.Why != "" && c.Before != nil:
			now += ": " + c.Why
		case c.Why != "":
			before, now = "-", c.Why
		}
		rows = append(rows, []string{
			c.PKH.String(), words.Dash(words.ShortAlias(c.Alias)), c.Kind.String(), c.Result,
			before, now,
		})
	}
	return a.Table([]string{"key", "alias", "kind", "result", "before", "now"}, rows)
}

func (a *app) hwmCeilingCmd() *cobra.Command {
	var ch choice
	var lift, far bool
	var reason string
	c := &cobra.Command{
		Use: "ceiling [KEY…]", Short: "Sign nothing above a level; or lift the ceiling", Args: cobra.ArbitraryArgs,
		Long: "Set a ceiling: nothing above LEVEL is signed. With a ceiling at LEVEL here and marks at LEVEL on\n" +
			"a second machine, the two machines provably sign different levels.\n" +
			"\n" +
			"A ceiling can be lowered at any time. --lift removes a ceiling, at a stopped instance, with a\n" +
			"typed confirmation and a reason. The ceiling of \"highwater release\" is lifted only when the\n" +
			"right to sign comes back.",
		Example: "  highwater hwm ceiling --all --level 8000100",
		RunE: func(c *cobra.Command, args []string) error {
			if lift {
				if err := cli.Wants(c, "reason"); err != nil {
					return err
				}
				if a.AsJSON {
					return terminal.Usagef("--lift wants a typed word, and has no --json")
				}
				return a.liftCeilings(c.Context(), &ch, args, reason)
			}
			if err := cli.Wants(c, "level"); err != nil {
				return err
			}
			level, err := a.Level(c.Context(), "level", ch.level)
			if err != nil {
				return err
			}
			return a.WithAdmin(c.Context(), false, func(_ *config.Config, admin operate.Admin) error {
				pkhs, err := ch.keys(c.Context(), admin, args)
				if err != nil {
					return err
				}
				ctx := actor.WithReason(c.Context(), reason)
				return a.setCeilings(ctx, admin, operate.CeilingRequest{PKHs: pkhs, Level: level, Far: far})
			})
		},
	}
	ch.flags(c)
	cli.FarFlag(c, &far)
	c.Flags().BoolVar(&lift, "lift", false, "remove the ceiling: only when no second machine signs above the ceiling")
	c.Flags().StringVar(&reason, "reason", "", "the reason, a `TEXT` for the journal; required to lift a ceiling")
	return a.AddJSON(c)
}

func (a *app) setCeilings(ctx context.Context, admin operate.Admin, req operate.CeilingRequest) error {
	var set []operate.CeilingRow
	_, err := a.ConfirmFar(req.Far, false, fmt.Sprint(req.Level), func(far bool) (err error) {
		req.Far = far
		set, err = admin.SetCeiling(ctx, req)
		return err
	})
	if err != nil {
		return err
	}
	if a.AsJSON {
		return a.JSON(set)
	}
	rows := [][]string{}
	for _, s := range set {
		before := "none"
		if s.Before != nil {
			before = fmt.Sprint(*s.Before)
		}
		rows = append(rows, []string{s.PKH.String(), words.Dash(words.ShortAlias(s.Alias)), before, fmt.Sprint(s.After)})
	}
	return a.Table([]string{"key", "alias", "before", "ceiling"}, rows)
}

func (a *app) liftCeilings(ctx context.Context, ch *choice, names []string, reason string) error {
	return a.Offline(ctx, func(cfg *config.Config, in *daemon.Instance) error {
		pkhs, err := ch.keys(ctx, in.Admin.Admin(), names)
		if err != nil {
			return err
		}
		var lifted []hwm.CeilingKey
		for key := range in.Store.Ceilings() {
			if key.Chain != cfg.ChainID || len(pkhs) > 0 && !containsKey(pkhs, key.PKH) {
				continue
			}
			lifted = append(lifted, key)
		}
		if err := givenAway(in, lifted); err != nil {
			return err
		}
		if len(lifted) == 0 {
			return errors.New("no ceiling to lift")
		}
		if err := a.Typed(fmt.Sprintf(
			"The command lifts %s. If a second machine signs above, both will be slashed.", words.Count(len(lifted), "ceiling")),
			"lift"); err != nil {
			return err
		}
		for _, key := range lifted {
			if err := in.Store.Lift(key, time.Now(), reason); err != nil {
				return err
			}
			a.Say("lifted the ceiling of %s", key.PKH)
		}
		return nil
	})
}

// givenAway refuses to lift a ceiling made by a certificate. The peer may hold the certificate, and a takeover asks for
// the certificate only while the ceiling stands.
func givenAway(in *daemon.Instance, keys []hwm.CeilingKey) error {
	if in.Store.Role().Owner == in.Store.Instance() { // the right is here: nothing is given away any more
		return nil
	}
	have := in.Store.Ceilings()
	for _, key := range keys {
		if c := have[key]; c.Source == hwm.SourcePeer {
			return hints.Add(fmt.Errorf("the right to sign was given away above the ceiling %d of %s: "+
				"the ceiling is lifted when the right comes back", c.Level, key.PKH),
				"highwater handover; when the peer is gone for good: highwater takeover")
		}
	}
	return nil
}

func containsKey(pkhs []tezos.PublicKeyHash, pkh tezos.PublicKeyHash) bool {
	for _, p := range pkhs {
		if p == pkh {
			return true
		}
	}
	return false
}

const lowerLong = `Lower a watermark. "lower" is the only way down, and can make the key sign twice: every place
signed between the new mark and the old mark can be signed again, and two signatures for the same level and
round are slashed.

"lower" is for a mark raised by mistake above the chain's head, where nothing was ever signed. The command works
at a stopped instance only, wants a typed confirmation, and keeps the reason.`

func (a *app) hwmLowerCmd() *cobra.Command {
	var ch choice
	var reason string
	c := &cobra.Command{
		Use: "lower KEY", Short: "Lower a watermark (dangerous; at a stopped instance only)", Long: lowerLong,
		Args:    cli.OneKey,
		Example: "  highwater hwm lower tz1… --kind attestation --level 8000000 --reason 'typed one digit too many'",
		RunE: func(c *cobra.Command, args []string) error {
			if err := cli.Wants(c, "kind", "level", "reason"); err != nil {
				return err
			}
			level, err := a.Level(c.Context(), "level", ch.level)
			if err != nil {
				return err
			}
			kinds, err := ch.parseKinds()
			if err != nil {
				return err
			}
			return a.Offline(c.Context(), func(cfg *config.Config, in *daemon.Instance) error {
				return a.lower(c.Context(), cfg, in, args[0], kinds, level, reason)
			})
		},
	}
	c.Flags().Var(&ch.level, "level",
		"the new `LEVEL` of the mark, a number or head+N: only higher levels are signed afterwards")
	c.Flags().StringSliceVar(&ch.kinds, "kind", nil, "the `KIND`: block, preattestation, attestation (repeatable)")
	c.Flags().StringVar(&reason, "reason", "", "the reason, a `TEXT` kept for good")
	return c
}

func (a *app) lower(ctx context.Context, cfg *config.Config, in *daemon.Instance, name string, kinds []tezos.Kind,
	level int32, reason string,
) error {
	rows, err := in.Admin.Keys(ctx)
	if err != nil {
		return err
	}
	key, err := cli.FindKey(rows, name)
	if err != nil {
		return err
	}
	for _, kind := range kinds {
		mark := hwm.Key{Chain: cfg.ChainID, PKH: key.PKH, Kind: kind}
		st, err := in.Store.State(mark)
		if err != nil {
			return err
		}
		next := hwm.Floor(level, time.Now(), hwm.SourceLowered)
		if st.Mark == nil || !st.Mark.Above(next) {
			return fmt.Errorf("the %s mark of %s is not above level %d: nothing to lower", kind, key.PKH, level)
		}
		question := fmt.Sprintf("The %s mark of %s goes from %s down to level %d.\n"+
			"Every place signed in between can be signed again, and a second signature is slashed.",
			kind, key.PKH, st.Mark.Position, level)
		if err := a.Typed(question, fmt.Sprintf("lower %s to %d", kind, level)); err != nil {
			return err
		}
		if err := in.Store.Lower(mark, next, reason); err != nil {
			return err
		}
		a.Say("lowered: %s %s, from %s to level %d", key.PKH, kind, st.Mark.Position, level)
	}
	return nil
}
