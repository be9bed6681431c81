package pair

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"highwater/failover"
	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/bringup"
	"highwater/internal/chain"
	"highwater/internal/checklist"
	"highwater/internal/config"
	"highwater/internal/hints"
	"highwater/internal/node"
	"highwater/internal/tezos"
	"highwater/internal/words"
	"highwater/operate"
)

// drillHandover takes the right to sign, waits for signatures, and gives the right back. Once the right was asked for,
// drillHandover ends when the right is back, or reports that the right cannot go back. An error means that the right
// was never asked for.
func (a *app) drillHandover(
	ctx context.Context, cfg *config.Config, admin operate.Admin, record *bringup.Record, f drillFlags, d *bringup.Drill,
) error {
	st, err := admin.Status(ctx)
	if err == nil {
		err = drillable(st)
	}
	if err != nil {
		return err
	}
	if !d.Result.Passed() {
		return nil // the checklist shows the obstacle
	}
	holder, peer := holderOf(st)
	question := fmt.Sprintf("Bring the right to sign here from %s, sign at %s, and give the right back?",
		holder.Short(), words.Count(f.levels, "level"))
	if err = a.Confirm(f.yes, question, "drill"); err != nil {
		return err
	}
	record.Begin(time.Now())
	if err = bringup.SaveRecord(cfg, record); err != nil {
		return err
	}
	r := &realDrill{app: a, cfg: cfg, admin: admin, f: f, d: d, from: highestMark(st), holder: holder, peer: peer}
	if h, headErr := r.chainHead(ctx); headErr == nil {
		r.head = h
	}
	d.Handover, d.At = true, time.Now()
	r.run(ctx)
	d.MaySign = bringup.MaySign(context.WithoutCancel(ctx), admin)
	if r.back {
		record.End()
	}
	return nil
}

// realDrill is a drill with a handover under way.
type realDrill struct {
	*app
	cfg   *config.Config
	admin operate.Admin
	f     drillFlags
	d     *bringup.Drill
	from  int32 // the highest mark before the drill
	head  int32 // head of the chain before the drill; 0: unknown
	back  bool  // this machine is known to be without the right
	// holder has the right before the drill, and gets the right back; peer is the drill's word for the holder.
	holder hwm.InstanceID
	peer   string
}

// holderOf is the instance that gives the right, and its name in a drill's lines.
func holderOf(st operate.Status) (hwm.InstanceID, string) {
	if st.Register != nil {
		return st.Register.Owner, "the instance " + st.Register.Owner.Short()
	}
	return st.Pair.Peer.Key, "the peer"
}

func (r *realDrill) line(id checklist.ID, result checklist.Result, hint, format string, args ...any) {
	l := checklist.New(id, result, fmt.Sprintf(format, args...), hint)
	r.d.Lines = append(r.d.Lines, l)
	r.d.Result = bringup.Worst(r.d.Lines)
}

func (r *realDrill) run(ctx context.Context) {
	h, err := r.handOver(ctx, r.admin, &handoverFlags{windowFlags: r.f.windowFlags, now: r.f.now})
	if err == nil && h.Refusal != nil {
		err = h.Refusal
	}
	if err != nil {
		r.notCome(ctx, err)
		return
	}
	r.d.ThereMS = &h.GapMS
	r.line(checklist.There, checklist.OK, "", "this machine signs, epoch %d; nobody signed for %.1f ms", h.Epoch, h.GapMS)
	err = r.sign(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		r.line(checklist.SignedHere, checklist.Bad, "", "stopped after %s", words.Count(len(r.d.Levels), "level"))
	case err != nil:
		r.line(checklist.SignedHere, checklist.Bad, "does octez-baker ask this machine? see: highwater status", "%s", err)
	default:
		r.line(checklist.SignedHere, checklist.OK, "", "at %v", r.d.Levels)
	}
	if err == nil && !r.f.now { // without a good moment in time, the right goes back at the next one
		_, _ = r.await(ctx, r.f.timeout, func(left time.Duration) (bool, []checklist.Line, error) {
			m, momentErr := r.admin.Moment(ctx, r.f.window(left))
			return m.Good, m.Findings, momentErr
		})
	}
	r.giveBack(context.WithoutCancel(ctx))
	if r.back {
		r.missed(ctx)
	}
}

// notCome reports the holder of the right after a failed handover. After a lost answer, the right that came is given
// back. After a refusal, any right here is another operator's work, and stays.
func (r *realDrill) notCome(ctx context.Context, err error) {
	r.line(checklist.There, checklist.Bad, hints.Of(err), "%s", err)
	st, statusErr := r.admin.Status(context.WithoutCancel(ctx))
	if statusErr != nil {
		r.line(checklist.Role, checklist.Bad, "highwater status, on both machines", "%s", statusErr)
		return
	}
	r.back = st.Role.Role != hwm.Active
	switch {
	case r.back:
	case wire.IsRefusal(err):
		r.line(checklist.Role, checklist.Bad, "to give the right back: highwater handover",
			"this machine has the right to sign")
	default:
		r.line(checklist.Role, checklist.Warning, "", "this machine has the right to sign nevertheless")
		r.giveBack(context.WithoutCancel(ctx))
	}
}

// poll is the time between two looks. The fastest chains make a block a second.
const poll = 200 * time.Millisecond

// sign waits until this machine has signed at enough levels.
func (r *realDrill) sign(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.f.wait)
	defer cancel()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		marks, err := r.admin.Marks(ctx)
		if err != nil && ctx.Err() == nil {
			return err
		}
		for _, m := range marks {
			if m.Signed && m.Level != nil && *m.Level > r.from && m.UpdatedAt.After(r.d.At) &&
				!slices.Contains(r.d.Levels, *m.Level) {
				r.d.Levels = append(r.d.Levels, *m.Level)
			}
		}
		slices.Sort(r.d.Levels)
		if len(r.d.Levels) >= r.f.levels {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("signatures at %s within %s, of %d", words.Count(len(r.d.Levels), "level"), r.f.wait, r.f.levels)
		}
	}
}

// Bounds of giving the right back: the peer may be busy, or the link may be cut for a moment.
const (
	backTries = 5
	backWait  = time.Second
	backLimit = time.Minute
)

func (r *realDrill) giveBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, backLimit)
	defer cancel()
	var err error
	for try := range backTries {
		if try > 0 {
			select {
			case <-time.After(backWait):
			case <-ctx.Done():
			}
		}
		var h operate.HandoverAnswer
		if h, err = r.admin.Handover(ctx, failover.HandoverRequest{To: &r.holder}); err == nil && h.Refusal == nil && h.Done {
			r.back, r.d.BackMS = true, &h.GapMS
			r.line(checklist.Back, checklist.OK, "", "%s signs, epoch %d; nobody signed for %.1f ms", r.peer, h.Epoch,
				h.GapMS)
			return
		}
		if err == nil && h.Refusal != nil {
			err = h.Refusal
		}
		st, stErr := r.admin.Status(ctx)
		if stErr == nil && st.Role.Role != hwm.Active { // the right went, and the answer was lost
			r.back = true
			r.line(checklist.Back, checklist.Warning, "see on all machines: highwater status",
				"this machine does not sign any more; the answer of %s did not come: %v", r.peer, err)
			return
		}
	}
	if err == nil {
		err = fmt.Errorf("%s did not give the outcome", r.peer)
	}
	r.line(checklist.Back, checklist.Bad,
		fmt.Sprintf("this machine has the right to sign; when %s is ready: highwater handover", r.peer), "%s", err)
}

// missed asks the node, if configured, for the levels without our signature.
func (r *realDrill) missed(ctx context.Context) {
	if r.cfg.Node == "" || ctx.Err() != nil {
		return
	}
	const name = checklist.Missed
	levels, err := r.lookForMissed(ctx)
	switch {
	case err != nil:
		r.line(name, checklist.Warning, "see `node` in the configuration", "not known: %s", err)
	case len(levels) > 0:
		r.d.Missed = levels
		r.line(name, checklist.Warning, "", "%v: rights, and nothing of ours on chain", levels)
	default:
		r.d.Missed = levels
		r.line(name, checklist.OK, "", "none")
	}
}

// octez runs f with the configured node.
func (r *realDrill) octez(f func(*chain.Reader) error) error {
	client, err := node.New(node.Config{URL: r.cfg.Node})
	if err != nil {
		return err
	}
	defer client.Close()
	return f(chain.New(client, r.cfg.ChainID))
}

func (r *realDrill) chainHead(ctx context.Context) (level int32, err error) {
	if r.cfg.Node == "" {
		return 0, errNoNode
	}
	err = r.octez(func(at *chain.Reader) error {
		h, headErr := at.Head(ctx)
		level = h.Level
		return headErr
	})
	return level, err
}

var errNoNode = errors.New("no node is configured")

// settled is the number of blocks above a level before the level counts as missed. The attestations of a level stand in
// the next block.
const settled = 2

// lookForMissed waits until the chain is past the drill, and then looks at all levels of the drill.
func (r *realDrill) lookForMissed(ctx context.Context) (missed []int32, err error) {
	if r.head == 0 {
		return nil, errors.New("the node did not say where the chain was when the drill began")
	}
	keys, err := r.admin.Keys(ctx)
	if err != nil {
		return nil, err
	}
	pkhs := make([]tezos.PublicKeyHash, 0, len(keys))
	for _, k := range keys {
		pkhs = append(pkhs, k.PKH)
	}
	ctx, cancel := context.WithTimeout(ctx, r.f.wait)
	defer cancel()
	err = r.octez(func(at *chain.Reader) error {
		head, headErr := at.Head(ctx)
		to := head.Level
		for headErr == nil && head.Level < to+settled {
			select {
			case <-time.After(poll):
				head, headErr = at.Head(ctx)
			case <-ctx.Done():
				headErr = fmt.Errorf("the chain did not get to level %d", to+settled)
			}
		}
		if headErr == nil {
			missed, headErr = at.Missed(ctx, pkhs, r.head, to)
		}
		return headErr
	})
	return missed, err
}

func highestMark(st operate.Status) int32 {
	highest := int32(0)
	for _, m := range st.Marks {
		if m.Level != nil {
			highest = max(highest, *m.Level)
		}
	}
	return highest
}
