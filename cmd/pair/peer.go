package pair

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/failover"
	"highwater/failover/wire"
	"highwater/internal/config"
	"highwater/internal/hints"
	"highwater/internal/terminal"
	"highwater/operate"
)

const peerLong = `Two instances make a pair: the active instance signs, and the backup follows the watermarks and can
take over. Each instance keeps the address and the key of its peer, and accepts nobody else. There is no
password and no authority.

On each machine: set [peer] listen in the configuration, restart, show the key, and add the key on the second
machine. The shown key is no secret.

A signing instance without its former peer asks nobody after a restart: the former peer must never take over any
more. The command asks you for this statement; --yes makes the statement.`

func (a *app) peerCmd() *cobra.Command {
	var yes bool
	show := a.AddJSON(&cobra.Command{
		Use: "show", Short: "Show the key of the instance, the peer, and the signing instance", Args: cli.NoArgs,
		Example: "  highwater peer show",
		Long: "Show the key of the instance, the address and key of the peer, and the instance that may sign.\n" +
			"On the second machine: \"highwater peer add ADDRESS KEY\".",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.WithAdmin(c.Context(), false, func(cfg *config.Config, admin operate.Admin) error {
				v, err := admin.Pair(c.Context())
				if err != nil {
					return err
				}
				return a.pair(cfg, v)
			})
		},
	})
	add := a.AddJSON(&cobra.Command{
		Use: "add ADDRESS KEY", Short: "Name the peer: the address of the second machine, and its key",
		Example: "  highwater peer add 10.0.0.2:6734 1f0c…",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 2 {
				return hints.Add(terminal.Usagef("%s wants an address and a key", c.CommandPath()),
					"the second machine shows its key: highwater peer show")
			}
			return nil
		},
		Long: "Name the peer by ADDRESS, the HOST:PORT of [peer] listen on the second machine, and by KEY, from\n" +
			"\"highwater peer show\" on the second machine. A second \"add\" replaces the peer.",
		RunE: func(c *cobra.Command, args []string) error {
			r := operate.PeerRequest{Address: args[0]}
			if err := r.Key.UnmarshalText([]byte(args[1])); err != nil {
				return terminal.Misuse(err)
			}
			return a.setPeer(c.Context(), r, yes)
		},
	})
	remove := a.AddJSON(&cobra.Command{
		Use: "remove", Short: "Forget the peer: the instance is alone", Args: cli.NoArgs, Example: "  highwater peer remove",
		Long: "Forget the peer. The instance is alone afterwards, and asks nobody before signing.",
		RunE: func(c *cobra.Command, _ []string) error { return a.setPeer(c.Context(), operate.PeerRequest{}, yes) },
	})
	for _, c := range []*cobra.Command{add, remove} {
		cli.Reasoned(c).Flags().BoolVar(&yes, "yes", false,
			"do not ask: I state that the former peer never signs with the keys again")
	}
	return cli.Group("peer", "Show and name the peer of a pair", peerLong, "  highwater peer show", show, add, remove)
}

func (a *app) setPeer(ctx context.Context, r operate.PeerRequest, yes bool) error {
	return a.WithAdmin(ctx, false, func(cfg *config.Config, admin operate.Admin) error {
		if err := a.parting(ctx, admin, r, yes); err != nil {
			return err
		}
		v, err := admin.SetPeer(ctx, r)
		if err != nil {
			return err
		}
		if cfg.Peer.Listen == "" && r.Address != "" {
			a.Note("hint: the peer cannot reach this instance yet: set [peer] listen in %s, and restart", cfg.Path)
		}
		return a.pair(cfg, v)
	})
}

// parting asks before a signing instance leaves its peer. After its next start the instance no longer asks the peer, so
// a takeover there would make two signers, even with a true statement.
func (a *app) parting(ctx context.Context, admin operate.Admin, r operate.PeerRequest, yes bool) error {
	if yes {
		return nil
	}
	st, err := admin.Status(ctx)
	if err != nil || !st.Signing || st.Pair == nil || st.Pair.Peer == nil || st.Pair.Peer.Key == r.Key {
		return err
	}
	word := "replace"
	if r.Address == "" {
		word = "remove"
	}
	a.Note("This instance signs, and will never ask the instance %s again, not even after a restart.\n"+
		"If the former peer ever takes over, both sign. Go on only in one of these cases:\n"+
		"  - the former peer is gone for good, or made anew;\n"+
		"  - the former peer forgets this instance, too: highwater peer remove, on the former peer.\n"+
		"Otherwise stop here, and run first: highwater standby", st.Pair.Peer.Key.Short())
	return a.Confirm(false, fmt.Sprintf(
		"Will the instance %s never sign with the keys again?", st.Pair.Peer.Key.Short()), word)
}

func (a *app) pair(cfg *config.Config, v failover.View) error {
	if a.AsJSON {
		return a.JSON(v)
	}
	a.Say("this instance   %s", v.Instance)
	a.Say("at the peer     %s", cmp.Or(cfg.PeerAdd(v.Instance.String()), "no command yet: set [peer] listen in "+cfg.Path))
	a.ShowPair(&v)
	return nil
}

// refused shows why a step of the pair was not made.
func refused(r *wire.Refusal) error {
	if r == nil {
		return nil
	}
	return r
}
