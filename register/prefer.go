package register

import (
	"context"

	"highwater/hwm"
)

const (
	// settled is for how many levels a machine was ready without a break before the machine asks for the right: a
	// machine that comes and goes asks for nothing.
	settled = 20
	// mostSettled bounds the doubled wait of a machine that asks, and does not keep the right: some four hours.
	mostSettled = settled << 7
	// unseen is how many levels may pass between two looks without a break: a suspended machine starts anew.
	unseen = 3
)

// prefer is the patience of a machine that comes before the owner.
type prefer struct {
	begun       bool
	from, last  int32 // the run of levels at which the machine was ready
	need, taken int32 // levels of the next wait, and the level of the last acquisition
}

// wait is how many levels the machine must have been ready.
func (p *prefer) wait() int32 { return max(p.need, settled) }

// see takes a new head in, and tells whether the machine has been ready for long enough.
func (p *prefer) see(head int32, ready func() error) bool {
	if p.begun && head == p.last {
		return head-p.from >= p.wait()
	}
	if ready() != nil {
		p.begun = false
		return false
	}
	if !p.begun || head < p.last || head-p.last > unseen {
		p.begun, p.from = true, head
	}
	p.last = head
	return head-p.from >= p.wait()
}

// asks doubles the wait for the next question.
func (p *prefer) asks() { p.need = min(2*p.wait(), mostSettled) }

// begins notes an acquisition: a machine that loses the right again has to be ready anew.
func (p *prefer) begins(rec Record) { p.begun, p.taken = false, rec.Horizon }

// keeps ends the doubled wait of a machine that has kept the right for as long.
func (p *prefer) keeps(rec Record, err error) {
	if err == nil && rec.Horizon-p.taken >= p.wait() {
		p.need = settled
	}
}

// prefers tells whether this machine comes before the owner, and may ask the owner for the right now. Two machines of
// the same priority never ask each other: the right does not flap. Nothing is taken: only the owner's release lets this
// machine sign.
func (k *Keeper) prefers(ctx context.Context, rec Record) bool {
	head, ok := k.cfg.Machine.Head()
	first := !rec.Released() && rec.Owner != k.cfg.Me && rec.Priority > k.cfg.Policy.Priority
	free := k.cfg.Policy.Automatic && !k.resting() && k.cfg.Machine.Barred() == ""
	if !ok || !first || !free || k.cfg.Machine.Near(rec.Horizon) != nil {
		k.prefer.begun = false
		return false
	}
	switch {
	case !k.prefer.see(head, k.cfg.Machine.Ready):
		return false
	case rec.Asked != hwm.InstanceID{}: // another machine asks, or an operator
		return false
	case head > above(k.since, k.cfg.Policy.Patience): // the owner is not heard: a takeover is near
		return false
	}
	return k.cfg.Quiet == nil || k.cfg.Quiet(ctx) == nil
}

// askBack asks the owner of a record for the right, and says so.
func (k *Keeper) askBack(ctx context.Context, decided Record) string {
	if _, err := k.cfg.Right.Ask(ctx, k.mayReplace(decided)); err != nil {
		return "the owner could not be asked for the right: " + err.Error()
	}
	k.prefer.asks()
	k.cfg.Log.Info("right asked for: this machine comes first", "priority", k.cfg.Policy.Priority)
	return "the owner was asked for the right: this machine comes first"
}
