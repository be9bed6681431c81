package cmd

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"highwater/failover"
	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/checklist"
	"highwater/internal/config"
	"highwater/internal/hints"
	"highwater/internal/terminal"
	"highwater/internal/words"
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
	show := a.addJSON(&cobra.Command{
		Use: "show", Short: "Show this instance's key, the other one, and who may sign", Args: noArgs, Example: "  highwater peer show",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withAdmin(c.Context(), false, func(_ *config.Config, admin operate.Admin) error {
				v, err := admin.Pair(c.Context())
				if err != nil {
					return err
				}
				return a.pair(v)
			})
		},
	})
	add := a.addJSON(&cobra.Command{
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
	remove := a.addJSON(&cobra.Command{
		Use: "remove", Short: "Make this instance one that is alone", Args: noArgs, Example: "  highwater peer remove",
		RunE: func(c *cobra.Command, _ []string) error { return a.setPeer(c.Context(), operate.PeerRequest{}, yes) },
	})
	for _, c := range []*cobra.Command{add, remove} {
		c.Flags().BoolVar(&yes, "yes", false, "do not ask: I state that the one that was the other instance never signs with these keys again")
	}
	return group("peer", "Show and name the other instance of a pair", peerLong, "  highwater peer show", show, add, remove)
}

func (a *app) setPeer(ctx context.Context, r operate.PeerRequest, yes bool) error {
	return a.withAdmin(ctx, false, func(cfg *config.Config, admin operate.Admin) error {
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
		short(st.Pair.Peer.Key))
	a.Note("It is gone for good, or it is made anew, or there too: highwater peer remove. Else: highwater standby here first.")
	return a.Confirm(false, fmt.Sprintf("The instance %s never signs with these keys again?", short(st.Pair.Peer.Key)), word)
}

func (a *app) pair(v failover.View) error {
	if a.jsonFlag {
		return a.JSON(v)
	}
	a.Say("this instance   %s", v.Instance)
	a.showPair(&v)
	return nil
}

// showPair is the part of the status that is about the pair.
func (a *app) showPair(v *failover.View) {
	if v == nil || v.Peer == nil {
		return
	}
	p := v.Peer
	a.Say("may sign        %s", v.MaySign)
	if v.Waiting != "" {
		a.Say("waiting         %s", a.Paint(terminal.Yellow, v.Waiting))
	}
	a.Say("other instance  %s at %s", p.Key, p.Address)
	switch {
	case p.Reachable:
		a.Say("                %s: %s", a.Paint(terminal.Green, "answers"), peerWords(p))
	case p.HeardAt != nil:
		a.Say("                %s: %s", a.Paint(terminal.Red, "not in touch"), p.Error)
		a.Say("                heard last at %s: %s", words.Time(*p.HeardAt), peerWords(p))
	case p.Error != "":
		a.Say("                %s: %s", a.Paint(terminal.Red, "not in touch"), p.Error)
	default:
		a.Say("                not asked yet")
	}
	if d := time.Duration(p.SkewMS) * time.Millisecond; d.Abs() > 5*time.Second {
		a.Say("                %s: the clocks differ by %s", a.Paint(terminal.Yellow, "warning"), d.Abs())
	}
	a.showNext(v.Next)
}

func (a *app) showNext(next []string) {
	for i, text := range next {
		label := "next"
		if i > 0 {
			label = ""
		}
		a.Say("%-15s %s", label, text)
	}
	a.Say("")
}

func peerWords(p *failover.PeerView) string {
	text := fmt.Sprintf("%s, epoch %d", p.Role, p.Epoch)
	if p.Signing {
		text += ", " + signsWords(p.Share)
	}
	if p.Broken != "" {
		text += ", and its disk fails: " + p.Broken
	}
	if p.Following {
		text += "; its watermarks are followed"
	}
	return text
}

// signsWords says that an instance signs, and which part of the levels.
func signsWords(s failover.Share) string {
	switch {
	case s.SignsUpTo != nil:
		return fmt.Sprintf("it signs up to level %d", *s.SignsUpTo)
	case s.SignsFrom != nil:
		return fmt.Sprintf("it signs from level %d on", *s.SignsFrom)
	}
	return "it signs"
}

// showChecklist is a checklist of the pair, one line each, with what to do where something stands in the way.
func (a *app) showChecklist(findings []checklist.Line) {
	for _, f := range findings {
		a.Say("  %s  %-15s %s", a.PaintResult(f.Result), f.Name, f.Detail)
		if f.Hint != "" && f.Result != checklist.OK {
			a.Say("           %-15s → %s", "", f.Hint)
		}
	}
}

// refused shows why a step of the pair was not made.
func refused(r *wire.Refusal) error {
	if r == nil {
		return nil
	}
	return r
}

func short(id hwm.InstanceID) string { return id.Short() }
