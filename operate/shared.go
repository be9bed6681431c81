package operate

import (
	"context"
	"errors"
	"fmt"

	"highwater/failover"
	"highwater/failover/moment"
	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/checklist"
	"highwater/register"
)

// Register is the shared right to sign of an instance, as its operator uses it.
type Register interface {
	View() register.View
	Handover(ctx context.Context, to hwm.InstanceID) (register.Moved, error)
	Takeover(ctx context.Context) (register.Record, error)
	Stand(ctx context.Context, why string) error
	Activate(ctx context.Context) error
	// Ready is nil when this machine could sign with every key, given the right.
	Ready() error
}

// errShared refuses a command for a pair, or for a lone instance.
var errShared = wire.Refuse(wire.NotOwner, "highwater handover, highwater takeover: see docs/register.md",
	"this instance shares the right to sign through a register: only the register moves the right")

// errSharedOffline refuses a command for the register without a daemon.
var errSharedOffline = wire.Refuse(wire.NotReady, "highwater serve", "only the daemon speaks with the register")

// register gives the register of a daemon; nil where the right is not shared.
func (l *Local) register() (Register, error) {
	if l.Shared && (l.Register == nil || !l.Running) {
		return nil, errSharedOffline
	}
	return l.Register, nil
}

// activateShared ends an operator's standby. Marks rise first, if a level is given.
func (l *Local) activateShared(ctx context.Context, reg Register, level *int32) error {
	if level != nil {
		if _, err := l.Store.Raise(l.Signer.Floors(*level, hwm.SourceSet)); err != nil {
			return err
		}
	}
	return sharedRefusal(reg.Activate(ctx))
}

// sharedRefusal turns a decision of the register, or of another instance, into a refusal.
func sharedRefusal(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, register.ErrElsewhere):
		return wire.Refuse(wire.NotOwner, "highwater handover; when the owner is gone: highwater takeover", "%v", err)
	case errors.Is(err, register.ErrUnanswered):
		return wire.Refuse(wire.Unreachable, "when the owner is gone: highwater takeover, without a statement",
			"%v", err)
	}
	return wire.Refuse(wire.NotReady, "see: highwater status", "%v", err)
}

// sharedFindings are the lines of a checklist before the right moves to here.
func sharedFindings(reg Register) []checklist.Line {
	v := reg.View()
	out := []checklist.Line{checklist.New(checklist.OtherInstance, checklist.OK, v.MaySign, "")}
	if v.Error != "" {
		out[0] = checklist.New(checklist.OtherInstance, checklist.Bad, "the register: "+v.Error, "see docs/register.md")
	}
	if err := reg.Ready(); err != nil && !v.Mine {
		return append(out, checklist.New(checklist.ThisInstance, checklist.Bad, err.Error(), "see: highwater status"))
	}
	return append(out, checklist.New(checklist.ThisInstance, checklist.OK, "ready", ""))
}

// handoverShared moves the right by the register: to this instance, or from here to any ready instance.
func (l *Local) handoverShared(ctx context.Context, reg Register, r failover.HandoverRequest) (
	failover.Handover, error,
) {
	if r.At != nil {
		return failover.Handover{}, wire.Refuse(
			wire.BadLevel, "highwater handover, without --at", "a register moves the right at once, and not from a level on")
	}
	v := reg.View()
	h := failover.Handover{Findings: sharedFindings(reg), From: v.Owner, To: l.Store.Instance()}
	if v.Mine {
		h.To = hwm.InstanceID{}
		if r.To != nil {
			h.To = *r.To
		}
	}
	if err := l.sharedMoment(ctx, reg, r, &h); err != nil {
		return h, err
	}
	if f := checklist.Stands(h.Findings); f != nil {
		return h, wire.Refuse(wire.NotReady, f.Hint, "%s: %s", f.Name, f.Detail)
	}
	if r.DryRun {
		return h, nil
	}
	moved, err := reg.Handover(ctx, h.To)
	if err != nil {
		return h, sharedRefusal(err)
	}
	h.Done, h.From, h.To, h.Epoch, h.GapMS = true, moved.From, moved.To, moved.Epoch,
		float64(moved.Gap.Microseconds())/1000
	return h, nil
}

// sharedMoment looks for a good moment of this instance's own keys, unless no moment is wanted.
func (l *Local) sharedMoment(ctx context.Context, reg Register, r failover.HandoverRequest, h *failover.Handover) error {
	if r.Window == nil || checklist.Stands(h.Findings) != nil {
		return nil
	}
	w := *r.Window
	w.Alone = true
	m, err := l.momentShared(ctx, reg, w)
	if err != nil {
		return err
	}
	h.Moment = &m
	if f := m.Finding(); !r.DryRun && !m.Good {
		h.Findings = m.Findings
		return wire.Refuse(wire.BadMoment, "wait for a good moment, or: --now", "%s: %s", f.Name, f.Detail)
	}
	return nil
}

// momentShared tells whether now is a good moment of the keys here. The register and this machine must be ready, unless
// nobody is to sign meanwhile.
func (l *Local) momentShared(ctx context.Context, reg Register, w moment.Window) (moment.Moment, error) {
	var found []checklist.Line
	if !w.Alone {
		for _, f := range sharedFindings(reg) {
			found = append(found, f.OrWait())
		}
	}
	if v := reg.View(); v.Error == "" && v.Epoch > 0 && v.Owner == (hwm.InstanceID{}) {
		return moment.Nobody(found), nil
	}
	return l.Node.Quiet(ctx, w, found)
}

// takeoverShared takes the right above the horizon. A statement is not needed: the register proves that nobody else
// signs above the horizon.
func (l *Local) takeoverShared(ctx context.Context, reg Register, r failover.TakeoverRequest) (
	failover.Takeover, error,
) {
	v := reg.View()
	t := failover.Takeover{
		Findings: sharedFindings(reg), Epoch: v.Epoch + 1, Floor: v.Horizon,
		Reason: "the register's horizon: nobody else signs above the horizon",
	}
	if v.Mine {
		return t, wire.Refuse(wire.IsActive, "nothing to take over; see: highwater status",
			"this instance has the right to sign already")
	}
	f := checklist.Stands(t.Findings)
	t.Ready = f == nil
	switch {
	case r.Check:
		return t, nil
	case f != nil:
		return t, wire.Refuse(wire.NotReady, f.Hint, "%s: %s", f.Name, f.Detail)
	}
	rec, err := reg.Takeover(ctx)
	if err != nil {
		return t, sharedRefusal(err)
	}
	t.Done, t.Epoch, t.Floor = true, rec.Epoch, rec.Floor
	return t, nil
}

// sharedWhy says why an active role, or none, signs nothing here.
func sharedWhy(v register.View) string {
	switch {
	case v.Error != "":
		return "register: " + v.Error
	case v.Why != "":
		return fmt.Sprintf("register: %s may sign; not taken here: %s", v.MaySign, v.Why)
	}
	return "register: " + v.MaySign
}
