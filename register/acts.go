package register

import "context"

// Takeover takes the right now, from above the owner's horizon: an operator's act without a statement, since the
// register proves that the old owner cannot sign above its horizon.
func (k *Keeper) Takeover(ctx context.Context) (Record, error) {
	k.beginStep()
	defer k.endStep()
	if err := k.cfg.Machine.Ready(); err != nil {
		return Record{}, err
	}
	return k.acquire(ctx, func(r Record) error { return k.cfg.Machine.Near(r.Horizon) })
}

// TakeBack takes a released right back. ErrElsewhere: another machine took the right.
func (k *Keeper) TakeBack(ctx context.Context) (Record, error) {
	k.beginStep()
	defer k.endStep()
	return k.acquire(ctx, func(r Record) error {
		if r.Released() || r.Owner == k.cfg.Me {
			return nil
		}
		return ErrElsewhere
	})
}

// acquire takes the right by an operator's word, unless may refuses.
func (k *Keeper) acquire(ctx context.Context, may func(Record) error) (Record, error) {
	var refused error
	head, _ := k.cfg.Machine.Head()
	rec, err := k.cfg.Right.Acquire(ctx, head, func(r Record) error {
		refused = may(r)
		return refused
	})
	if refused != nil { // by this machine, and not by the register
		return Record{}, refused
	}
	k.note(rec, err)
	if err != nil {
		return Record{}, err
	}
	k.begin(ctx, rec)
	return rec, nil
}

// Ask asks the owner for the right. The owner's next release is taken at once, until Forget.
func (k *Keeper) Ask(ctx context.Context) (Record, error) {
	k.beginStep()
	defer k.endStep()
	k.mu.Lock()
	k.wanted = true
	k.mu.Unlock()
	return k.cfg.Right.Ask(ctx, func(Record) error { return nil })
}

// Rest keeps the keeper from taking the right by itself, or ends the rest.
func (k *Keeper) Rest(rests bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rests = rests
}

func (k *Keeper) resting() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.rests
}

// Forget ends the wish of Ask.
func (k *Keeper) Forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wanted = false
}
