package pair

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/failover"
	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/checklist"
	"highwater/internal/config"
	"highwater/internal/durable"
	"highwater/internal/hints"
	"highwater/internal/terminal"
	"highwater/internal/words"
	"highwater/operate"
)

const handoverLong = `Move the right to sign from its holder to the peer. Run the command on either machine; both
machines must run, and reach each other.

Live: the holder stops signing, makes the stop durable, and answers with its final watermarks. The receiver
takes the watermarks as floors, and signs. The handover first waits for a good moment (see "highwater
wait-window"), five minutes at most; --now does not wait.

With --at LEVEL: the holder signs up to LEVEL, the receiver above LEVEL. Until the chain is past LEVEL,
"highwater status" shows both.

With a register: run the command at the receiver, and the owner is asked for the right; or at the owner, and any
ready machine takes the right. If no machine takes the right within ten seconds, the owner takes the right back.
--at is refused.

After any interruption at most one instance may sign. Run the command again on either machine, and the handover
goes on.

Exit status 0: handed over, or nothing stands in the way (--dry-run). 1: refused, no good moment came, or the
link was cut.`

// handoverFlags are the flags of handover.
type handoverFlags struct {
	windowFlags
	r             failover.HandoverRequest
	dry, yes, now bool
	at            cli.LevelValue
}

func (a *app) handoverCmd() *cobra.Command {
	var f handoverFlags
	c := &cobra.Command{
		Use: "handover", Short: "Move the right to sign to the peer, or from the peer to here", Long: handoverLong,
		Args:    cli.NoArgs,
		Example: "  highwater handover --dry-run\n  highwater handover --yes --timeout 15m",
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if f.r.At, err = a.LevelIf(c, "at", f.at); err != nil {
				return err
			}
			if err := f.check(); err != nil {
				return err
			}
			if err := a.Confirmable(f.yes || f.dry); err != nil {
				return err
			}
			return a.WithAdmin(c.Context(), false,
				func(_ *config.Config, admin operate.Admin) error { return a.handover(c.Context(), admin, &f) })
		},
	}
	f.flags(c, 5*time.Minute)
	c.Flags().BoolVar(&f.dry, "dry-run", false, "do everything but the switch")
	c.Flags().BoolVar(&f.yes, "yes", false, "do not ask")
	c.Flags().BoolVar(&f.now, "now", false, "do not wait for a good moment")
	c.Flags().Var(&f.at, "at", "by level: the holder signs up to `LEVEL` (a number, or head+N), the receiver above")
	return a.AddJSON(cli.Reasoned(c))
}

// request includes the moment, unless no wait is wanted. A switch by level makes no gap, so no moment is needed.
func (f *handoverFlags) request(left time.Duration) failover.HandoverRequest {
	r := f.r
	if !f.now && r.At == nil {
		w := f.window(left)
		r.Window = &w
	}
	return r
}

func (a *app) handover(ctx context.Context, admin operate.Admin, f *handoverFlags) error {
	look := f.request(f.timeout)
	look.DryRun = true
	plan, err := admin.Handover(ctx, look)
	if err != nil {
		return err
	}
	if f.dry || plan.Refusal != nil {
		return a.showHandover(plan)
	}
	if !f.yes {
		a.Aside().Checklist(plan.Findings)
		question := fmt.Sprintf("Move the right to sign from %s to %s?", plan.From.Short(), plan.To.Short())
		if err = a.Confirm(f.yes, question, "handover"); err != nil {
			return err
		}
	}
	done, err := a.handOver(ctx, admin, f)
	if err != nil {
		return err
	}
	if err = a.showHandover(done); err != nil || a.AsJSON {
		return err
	}
	return a.showMachines(ctx, admin)
}

// handOver asks until a good moment comes. Check and step are one request. A request under way is always awaited.
func (a *app) handOver(ctx context.Context, admin operate.Admin, f *handoverFlags) (operate.HandoverAnswer, error) {
	var h operate.HandoverAnswer
	heard, stop := toItsEnd(ctx)
	defer stop()
	done, err := a.await(ctx, f.timeout, func(left time.Duration) (bool, []checklist.Line, error) {
		answer, err := admin.Handover(heard, f.request(left))
		if err != nil && ctx.Err() != nil {
			err = hints.Add(fmt.Errorf("interrupted before the daemon gave the result: %w", err),
				"see on both machines: highwater status")
		}
		h = answer
		return h.Refusal == nil || h.Refusal.Reason != wire.BadMoment, h.Findings, err
	})
	if err == nil && !done && !a.AsJSON {
		err = noMoment(h.Moment.Finding().Detail + "; nothing was changed")
	}
	return h, err
}

// lastWords is how long an answer is awaited after Ctrl-C. A step under way takes milliseconds, unless the peer is
// lost.
const lastWords = 10 * time.Second

// toItsEnd gives a context that ends lastWords after ctx, for a step whose outcome must be known.
func toItsEnd(ctx context.Context) (context.Context, context.CancelFunc) {
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	timer := make(chan *time.Timer, 1)
	undo := context.AfterFunc(ctx, func() { timer <- time.AfterFunc(lastWords, cancel) })
	return later, func() {
		if !undo() {
			(<-timer).Stop()
		}
		cancel()
	}
}

// showMachines shows the roles of both machines.
func (a *app) showMachines(ctx context.Context, admin operate.Admin) error {
	st, err := admin.Status(ctx)
	if err == nil && st.Register != nil {
		a.ShowRegister(st.Register)
		return nil
	}
	if err != nil || st.Pair == nil || st.Pair.Peer == nil {
		return err
	}
	p := st.Pair.Peer
	a.machine("this instance", st.Pair.Instance, st.Role.Role.String(), st.Role.Epoch, st.Signing, st.Pair.Share)
	if p.HeardAt != nil {
		a.machine("peer", p.Key, p.Role, p.Epoch, p.Signing, p.Share)
	}
	return nil
}

func (a *app) machine(name string, id hwm.InstanceID, role string, epoch uint64, signing bool, share failover.Share) {
	what := "no right to sign"
	switch {
	case signing:
		what = cli.SignsWords(share)
	case role == hwm.Standby.String():
		what = "the backup: the devices stay connected, the marks follow"
	}
	a.Say("  %-15s %s  %s, epoch %d: %s", name, id.Short(), role, epoch, what)
}

func (a *app) showHandover(h operate.HandoverAnswer) error {
	if a.AsJSON {
		if h.Findings == nil {
			h.Findings = []checklist.Line{}
		}
		if err := a.JSON(h); err != nil {
			return err
		}
		if h.Refusal != nil {
			return cli.ErrSaid
		}
		return nil
	}
	a.Checklist(h.Findings)
	switch {
	case h.Refusal != nil:
		return refused(h.Refusal)
	case !h.Done && h.Moment != nil && !h.Moment.Good:
		a.Say("%s, except for the moment: a handover would wait for a good moment, or --now; nothing was changed",
			a.Paint(terminal.Green, "ready"))
	case !h.Done:
		a.Say("%s: nothing stands in the way; nothing was changed", a.Paint(terminal.Green, "ready"))
	case h.At != nil:
		a.Say("%s: %s signs up to level %d, %s above; epoch %d", a.Paint(terminal.Green, "handed over"), h.From.Short(),
			*h.At, h.To.Short(), h.Epoch)
	default:
		a.Say("%s: %s signs, epoch %d; nobody signed for %.1f ms", a.Paint(terminal.Green, "handed over"), h.To.Short(),
			h.Epoch, h.GapMS)
	}
	return nil
}

const releaseLong = `Give the right to sign away from a level on, to a peer that cannot be reached: the instance here
signs up to LEVEL, and the certificate in FILE lets the peer sign above LEVEL. Carry the file to the peer, and
accept the certificate ("highwater accept") within a hundred levels after LEVEL. The certificate is good for one
activation of the peer.

Release and accept are commands of a pair, and are refused with a register: only the register moves the right.
A machine cut off from the register loses the right at its horizon, and needs no certificate.`

func (a *app) releaseCmd() *cobra.Command {
	var at cli.LevelValue
	var out string
	var yes bool
	c := &cobra.Command{
		Use:   "release --at LEVEL --out FILE",
		Short: "Give the right to sign away from a level on, by a certificate in a file", Long: releaseLong,
		Args: cli.NoArgs, Example: "  highwater release --at 8000100 --out /media/stick/handover.json",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := cli.Wants(c, "at", "out"); err != nil {
				return err
			}
			level, err := a.Level(c.Context(), "at", at)
			if err != nil {
				return err
			}
			if err := a.Confirmable(yes); err != nil {
				return err
			}
			return a.WithAdmin(c.Context(), false, func(_ *config.Config, admin operate.Admin) error {
				return a.release(c.Context(), admin, level, out, yes)
			})
		},
	}
	c.Flags().Var(&at, "at", "sign up to `LEVEL` (a number, or head+N) here, above at the peer")
	c.Flags().StringVar(&out, "out", "", "write the certificate to `FILE`")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return a.AddJSON(cli.Reasoned(c))
}

func (a *app) release(ctx context.Context, admin operate.Admin, level int32, out string, yes bool) error {
	if err := durable.MustBeNew(out); err != nil {
		return err
	}
	question := fmt.Sprintf("Sign nothing above level %d here from now on, until the right is given back?", level)
	if err := a.Confirm(yes, question, "release"); err != nil {
		return err
	}
	step, stop := toItsEnd(ctx)
	defer stop()
	file, err := durable.Reserve(out, maxCertificate)
	if err != nil {
		return hints.Add(fmt.Errorf("nothing was given away: the file cannot be written: %w", err),
			"name a file on a medium with more room")
	}
	cert, err := admin.Release(step, operate.ReleaseRequest{At: level})
	if err != nil {
		return errors.Join(err, file.Drop())
	}
	text, err := wire.EncodeCertificate(&cert)
	if err == nil {
		err = file.Fill(text)
	}
	if err != nil {
		return hints.Add(err, "the right is given away already: run the same command again, with another file")
	}
	if a.AsJSON {
		return a.JSON(cert)
	}
	if *cert.Level != level {
		a.Note("The right was given away before, from level %d on, and cannot be given twice: the same certificate again.",
			*cert.Level+1)
	}
	a.Say("released: this instance signs up to level %d, %s above, with %s", *cert.Level, cert.To.Short(), out)
	a.Note("next, on the peer, before level %d: highwater accept --in %s", *cert.Level+100, filepath.Base(out))
	return nil
}

func (a *app) acceptCmd() *cobra.Command {
	var in string
	var head cli.LevelValue
	var yes bool
	c := &cobra.Command{
		Use: "accept --in FILE", Short: "Take the right to sign from a certificate in a file", Args: cli.NoArgs,
		Long: "Take the right to sign from a certificate of the peer, made there by \"highwater release\". The\n" +
			"instance here signs above the level in the certificate. The command is refused with a register.",
		Example: "  highwater accept --in /media/stick/handover.json",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := cli.Wants(c, "in"); err != nil {
				return err
			}
			r := operate.AcceptRequest{}
			var err error
			if r.Head, err = a.LevelIf(c, "head", head); err != nil {
				return err
			}
			if err := a.Confirmable(yes); err != nil {
				return err
			}
			return a.accept(c.Context(), in, r, yes)
		},
	}
	c.Flags().StringVar(&in, "in", "", "read the certificate from `FILE`")
	c.Flags().Var(&head, "head", "`LEVEL` of the chain's head, for an instance without a node")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return a.AddJSON(cli.Reasoned(c))
}

// maxCertificate bounds the file of a certificate, in bytes.
const maxCertificate = 4 << 20

func (a *app) accept(ctx context.Context, in string, r operate.AcceptRequest, yes bool) error {
	text, err := durable.Read(in, maxCertificate, "a certificate")
	if err != nil {
		return err
	}
	cert, err := wire.ParseCertificate(text)
	if err != nil {
		return hints.Add(fmt.Errorf("%s holds no certificate: %w", in, err),
			"name the file of highwater release --out, from the peer; "+
				"a bundle or an export of watermarks is for: highwater hwm import")
	}
	if err = cert.ForFile(); err != nil {
		return err
	}
	r.Certificate = *cert
	return a.WithAdmin(ctx, false, func(_ *config.Config, admin operate.Admin) error {
		question := fmt.Sprintf("%s gave epoch %d to %s on %s, from level %d on. Sign here above the level?",
			cert.From.Short(), cert.Epoch, cert.To.Short(),
			words.Time(cert.When), *cert.Level+1)
		if err := a.Confirm(yes, question, "accept"); err != nil {
			return err
		}
		step, stop := toItsEnd(ctx)
		defer stop()
		role, err := admin.Accept(step, r)
		if err != nil {
			return err
		}
		return a.ShowRole(role, fmt.Sprintf("signs above level %d", *cert.Level))
	})
}
