package bringup

import (
	"context"
	"time"

	"highwater/failover/wire"
	"highwater/internal/chain"
	"highwater/internal/checklist"
	"highwater/internal/doctor"
	"highwater/internal/node"
	"highwater/internal/words"
	"highwater/operate"
)

// The steps about the surroundings of the machine: the peer, a node, the clocks, a baker.

// checkPeer wants the peer named on both sides, and in contact now.
func (b *Backup) checkPeer(ctx context.Context) checklist.Line {
	st, err := b.Look(ctx)
	if err != nil {
		return broken(err)
	}
	if st.Pair == nil || st.Pair.Peer == nil {
		hint := wire.NamePeer
		if add := b.Config.PeerAdd(st.Instance); add != "" {
			hint = "at the peer: " + add + "; here, " + hint
		} else {
			hint = "set [peer] listen in " + b.Config.Path + " and restart; after the restart, " + hint
		}
		return waiting(hint, "no peer is named here; the key of the instance is %s", st.Instance)
	}
	f, _ := b.planFinding(ctx, checklist.OtherInstance)
	if !f.Result.Passed() {
		f.Result = checklist.Waiting
		if f.Hint == "" {
			f.Hint = "highwater peer show, on both machines"
		}
	} else if b.Config.Peer.Listen == "" {
		f.Result, f.Hint = checklist.Waiting,
			"the peer cannot reach this instance: set [peer] listen in "+b.Config.Path+", and restart"
	}
	return f
}

// paired tells whether a peer is named.
func (b *Backup) paired(ctx context.Context) bool {
	st, err := b.Look(ctx)
	return err == nil && st.Running && st.Pair != nil && st.Pair.Peer != nil
}

func (b *Backup) checkNode(ctx context.Context) checklist.Line {
	if b.Config.Node == "" {
		return checklist.Line{
			Detail: "no node is configured",
			Hint:   "set `node` in " + b.Config.Path + ", as evidence for a takeover",
		}
	}
	client, err := node.New(node.Config{URL: b.Config.Node})
	if err != nil {
		return broken(err)
	}
	defer client.Close()
	f, _ := chain.Check(ctx, chain.New(client, b.Config.ChainID), b.Config.ChainID)
	out := checklist.Line{Result: f.Result, Detail: f.Detail, Hint: f.Hint}
	if out.Result == checklist.Bad {
		out.Result = checklist.Waiting // the peer may catch up
	}
	return out
}

func (b *Backup) checkClocks(ctx context.Context) checklist.Line {
	f := foundOf(doctor.Clock())
	if !b.paired(ctx) {
		return f
	}
	if there, ok := b.planFinding(ctx, checklist.Clocks); ok && there.Result.Passed() {
		f.Detail += "; here and at the peer: " + there.Detail
		if there.Result == checklist.Warning {
			f.Result, f.Hint = there.Result, there.Hint
		}
	}
	return f
}

// askedLately is the longest silence of a running baker: a baker without rights at a level asks nothing.
const askedLately = 10 * time.Minute

func (b *Backup) checkBaker(ctx context.Context) checklist.Line {
	st, err := b.Look(ctx)
	switch {
	case err != nil:
		return broken(err)
	case st.LastAsked == nil:
		return checklist.Line{
			Detail: "no client asked for a signature since the daemon started",
			Hint:   "start octez-baker with the keys at " + b.signerAddress(),
		}
	case time.Since(*st.LastAsked) > askedLately:
		return checklist.Line{
			Detail: "a client asked last at " + words.Time(*st.LastAsked),
			Hint:   "does octez-baker still run?",
		}
	}
	return fine("a client asked %s ago, and was rightly refused", words.Age(time.Since(*st.LastAsked)))
}

func (b *Backup) drill(ctx context.Context, _ checklist.Line) checklist.Line {
	var d Drill
	err := b.with(ctx, true, func(admin operate.Admin) (err error) {
		d, err = Measure(ctx, b.Config, admin)
		return err
	})
	if err != nil {
		return broken(err)
	}
	b.Record.AddDrill(d)
	f := checklist.Line{Result: d.Result, Detail: d.Words()}
	for _, l := range d.Lines {
		if !l.Result.Passed() {
			return waiting(l.Hint, "%s: %s", l.Name, l.Detail)
		}
		if l.Result == checklist.Warning && f.Hint == "" {
			f.Hint = l.Name + ": " + l.Detail
		}
	}
	return f
}
