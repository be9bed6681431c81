package pair

import (
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

const peerLong = `Two instances make a pair: one signs, the other follows its watermarks and can take its place. Each keeps the
other's address and key, and accepts nobody else: there is no password and no authority.

On each machine: set [peer] listen in the configuration, restart, show its key, and add it on the other one. Nothing secret is
in it.

An instance that signs, and no longer has the other one for a peer, does not ask it after a restart: the other one must never take
over any more. So it asks you; --yes states it.`

func (a *app) peerCmd() *cobra.Command {
	var yes bool
	show := a.AddJSON(&cobra.Command{
		Use: "show", Short: "Show this instance's key, the other one, and who may sign", Args: cli.NoArgs, Example: "  highwater peer show",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.WithAdmin(c.Context(), false, func(_ *config.Config, admin operate.Admin) error {
				v, err := admin.Pair(c.Context())
				if err != nil {
					return err
				}
				return a.pair(v)
			})
		},
	})
	add := a.AddJSON(&cobra.Command{
		Use: "add ADDRESS KEY", Short: "Name the other instance: HOST:PORT of its peer listener, its key",
		Example: "  highwater peer add 10.0.0.2:6734 1f0c…",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 2 {
				return hints.Add(terminal.Usagef("%s wants an address and a key", c.CommandPath()), "the other machine says its key: highwater peer show")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			r := operate.PeerRequest{Address: args[0]}
			if err := r.Key.UnmarshalText([]byte(args[1])); err != nil {
				return terminal.Misuse(err)
			}
			return a.setPeer(c.Context(), r, yes)
		},
	})
	remove := a.AddJSON(&cobra.Command{
		Use: "remove", Short: "Make this instance one that is alone", Args: cli.NoArgs, Example: "  highwater peer remove",
		RunE: func(c *cobra.Command, _ []string) error { return a.setPeer(c.Context(), operate.PeerRequest{}, yes) },
	})
	for _, c := range []*cobra.Command{add, remove} {
		c.Flags().BoolVar(&yes, "yes", false, "do not ask: I state that the one that was the other instance never signs with these keys again")
	}
	return cli.Group("peer", "Show and name the other instance of a pair", peerLong, "  highwater peer show", show, add, remove)
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
			a.Note("hint: the other instance cannot reach this one yet: set [peer] listen in %s, and restart", cfg.Path)
		}
		return a.pair(v)
	})
}

// parting asks before an instance that signs leaves the other one: its next start asks that one no more, so a takeover there, however true
// its statement was, would make two signers.
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
	a.Note("This instance signs, and will not ask the instance %s any more, after a restart either. Should that one ever take over, both sign.",
		st.Pair.Peer.Key.Short())
	a.Note("It is gone for good, or it is made anew, or there too: highwater peer remove. Else: highwater standby here first.")
	return a.Confirm(false, fmt.Sprintf("The instance %s never signs with these keys again?", st.Pair.Peer.Key.Short()), word)
}

func (a *app) pair(v failover.View) error {
	if a.AsJSON {
		return a.JSON(v)
	}
	a.Say("this instance   %s", v.Instance)
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
