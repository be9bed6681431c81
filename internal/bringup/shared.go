package bringup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"highwater/failover"
	"highwater/failover/moment"
	"highwater/internal/checklist"
	"highwater/internal/doctor"
	"highwater/internal/words"
	"highwater/operate"
)

// The steps of a machine with a right to sign from a register.

// checkRegister wants the members of the register to answer, and a record.
func (b *Backup) checkRegister(ctx context.Context) checklist.Line {
	st, err := b.Look(ctx)
	if err != nil {
		return broken(err)
	}
	lines := doctor.Register(ctx, b.Config, *st)
	members := 0
	for _, l := range lines {
		if l.ID == checklist.RegisterMember && l.Result == checklist.OK {
			members++
		}
	}
	out := foundOf(lines...)
	if out.Result == checklist.OK {
		rec, _ := checklist.Find(lines, checklist.RegisterRecord)
		return fine("%s answer; %s", words.Count(members, "member"), rec.Detail)
	}
	lines = slices.DeleteFunc(lines, func(l checklist.Line) bool { return l.Result == checklist.OK })
	out = foundOf(lines...)
	if out.Result == checklist.Bad {
		out.Result = checklist.Waiting // etcd may come, and the record at the machine that signs
	}
	return out
}

// sharedKeys wants each key of the record to be here, and usable.
func sharedKeys(st *operate.Status) (checklist.Line, bool) {
	keys := st.Register.Keys
	var missing []string
	for _, k := range keys {
		i := slices.IndexFunc(st.Keys, func(row operate.KeyRow) bool { return row.PKH == k })
		switch {
		case i < 0:
			missing = append(missing, fmt.Sprintf("the record has key %s, this machine has not", k))
		case st.Keys[i].Unable() != nil:
			missing = append(missing, fmt.Sprintf("key %s cannot sign here: %s", k, st.Keys[i].Unable().Text))
		}
	}
	if len(missing) > 0 {
		return checklist.Line{
			Result: checklist.Bad, Detail: strings.Join(missing, "; "),
			Hint: "connect the device with the key, and see: highwater keys list",
		}, true
	}
	return fine("%s of the record: all are here", words.Count(len(keys), "key")), len(keys) > 0
}

// sharedMarks judges the marks here: a record brings its exact marks along.
func sharedMarks(missing int, text string) checklist.Line {
	if missing > 0 {
		return waiting("the marks come with the record, once the record has marks: on the machine that signs, highwater hwm set",
			"%s missing", words.Count(missing, "mark"))
	}
	return fine("%s; newer marks come with the right to sign", text)
}

// checkStandby wants this machine to be ready to take the right.
func (b *Backup) checkStandby(ctx context.Context) checklist.Line {
	f, ok := b.planFinding(ctx, checklist.ThisInstance)
	if !ok || !f.Result.Passed() {
		if f.Result == checklist.Bad {
			f.Result = checklist.Waiting
		}
		return f
	}
	st, err := b.Look(ctx)
	if err != nil {
		return broken(err)
	}
	if v := st.Register; v.Why != "" {
		return fine("ready; the right is not taken now: %s", v.Why)
	}
	return fine("ready")
}

// measureShared checks the register, and the dry run of a handover.
func measureShared(ctx context.Context, admin operate.Admin, d *Drill, sync time.Duration, st operate.Status) error {
	v := st.Register
	if !st.Running {
		d.Lines = append(d.Lines, checklist.Failed(checklist.OtherInstance,
			errors.New("only the daemon speaks with the register")))
		return nil
	}
	start := time.Now()
	plan, err := admin.Handover(ctx, failover.HandoverRequest{DryRun: true})
	took := time.Since(start)
	if err != nil {
		return err
	}
	if v.Error == "" {
		d.Lines = append(d.Lines, checklist.Good(checklist.RoundTrip, "%.1f ms, to the register", v.AnswerMS))
	}
	d.Lines = append(d.Lines, plan.Findings...)
	if plan.Refusal != nil {
		if Worst(d.Lines).Passed() { // a failed dry run is already among the findings
			d.Lines = append(d.Lines, checklist.New(checklist.DryRun, checklist.Bad, plan.Refusal.Text, plan.Refusal.Hint))
		}
		return nil
	}
	// the question, the release and the acquisition: a read and a write each
	estimate := 6*v.AnswerMS + float64((2*sync).Microseconds())/1000
	d.Lines = append(d.Lines,
		checklist.Good(checklist.DryRun, "nothing stands in the way, in %s", milliseconds(took)),
		checklist.Good(checklist.Handover, "should take about %.1f ms: the register, and a sync on each side", estimate),
		costOfTakeover(v.Ahead, v.Automatic))
	return nil
}

func costOfTakeover(ahead int32, automatic bool) checklist.Line {
	if !automatic {
		return checklist.New(checklist.Takeover, checklist.Warning, "by hand: highwater takeover", "register.automatic = true")
	}
	return checklist.Good(checklist.Takeover, "without a person, after about %s (%s)", words.Count(int(ahead), "level"),
		time.Duration(ahead)*moment.BlockTime)
}
