package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
)

// partitions are the scenarios of lost packets between the machines.
func partitions() []scenario {
	return []scenario{
		{"owner cut off from the others", takenOver, cutOff},
		{"owner hears no other machine", takenOver, deaf},
		{"no other machine hears the owner", takenOver, mute},
		{"leader of the register cut off", none, cutLeader},
	}
}

// turns are the scenarios of a single lost link.
func turns() []scenario {
	return []scenario{
		{"each link lost in turn", takenOver, eachLink},
		{"each direction of each link lost in turn", takenOver, eachDirection},
	}
}

func cutOff(ctx context.Context, w *world, owner *machine) error {
	return w.untilAnother(ctx, owner, w.isolate(ctx, owner))
}

func deaf(ctx context.Context, w *world, owner *machine) error {
	w.own(owner, answer)
	return w.untilAnother(ctx, owner, w.each(owner, func(o *machine) error { return w.lose(ctx, o, owner) }))
}

func mute(ctx context.Context, w *world, owner *machine) error {
	w.own(owner, cut)
	return w.untilAnother(ctx, owner, w.each(owner, func(o *machine) error { return w.lose(ctx, owner, o) }))
}

// untilAnother waits for the next owner, and mends the network. err is the error of the loss.
func (w *world) untilAnother(ctx context.Context, owner *machine, err error) error {
	if err == nil {
		err = errors.Join(w.awaitAnother(ctx, owner), w.levels(ctx, 2))
	}
	return errors.Join(err, w.joinAll(ctx), w.levels(ctx, 2))
}

// cutLeader parts the machine with the register's leader from the others, while another machine signs.
func cutLeader(ctx context.Context, w *world, owner *machine) error {
	i, err := w.leader(ctx, w.clients)
	if err != nil {
		return err
	}
	leader := w.machines[i]
	if leader == owner {
		owner = w.other(leader)
		if err = w.move(ctx, owner); err != nil {
			return err
		}
	}
	err = errors.Join(w.isolate(ctx, leader), w.levels(ctx, 2*w.ahead), w.awaitOwner(ctx, -1))
	return errors.Join(err, w.joinAll(ctx), w.levels(ctx, 2), w.awaitOwner(ctx, -1))
}

// eachLink loses one link after the other, in both directions. The third machine is heard by both, so the register
// has a majority.
func eachLink(ctx context.Context, w *world, _ *machine) error {
	for i, m := range w.machines {
		for _, o := range w.machines[:i] {
			err := errors.Join(w.part(ctx, m, o), w.levels(ctx, w.ahead), w.join(ctx, m, o), w.levels(ctx, 1))
			if err != nil {
				return err
			}
		}
	}
	return w.awaitOwner(ctx, -1)
}

func eachDirection(ctx context.Context, w *world, _ *machine) error {
	for _, m := range w.machines {
		err := w.each(m, func(o *machine) error {
			return errors.Join(w.lose(ctx, m, o), w.levels(ctx, w.ahead), w.join(ctx, m, o), w.levels(ctx, 1))
		})
		if err != nil {
			return err
		}
	}
	return w.awaitOwner(ctx, -1)
}

// disturb loses one direction between a machine and another, or both, or mends both.
func (w *world) disturb(ctx context.Context, m *machine, rnd *rand.Rand) error {
	o := w.machines[(m.index+1+rnd.IntN(machines-1))%machines]
	switch rnd.IntN(3) {
	case 0:
		return w.join(ctx, m, o)
	case 1:
		w.note = fmt.Sprintf("%s %d>%d", w.note, m.index, o.index)
		return w.lose(ctx, m, o)
	default:
		w.note = fmt.Sprintf("%s %d=%d", w.note, m.index, o.index)
		return w.part(ctx, m, o)
	}
}
