package operate

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"highwater/failover"
	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/actor"
	"highwater/internal/loghead"
	"highwater/internal/tezos"
	"highwater/internal/words"
	"highwater/signer"
)

// acts are the use cases of Local, with an entry in the journal for every act. A look (a dry run, a check) is no act.
type acts struct{ *Local }

// entry is an act for the journal.
type entry struct{ action, what, why string }

// note writes an act down with its end. An act that is done stays done without its entry: the log then has the entry.
func (l acts) note(ctx context.Context, e entry, err error) {
	if l.Note == nil {
		return
	}
	if e.why == "" {
		e.why = actor.Reason(ctx)
	}
	full := hwm.JournalEntry{
		At: l.Now(), Action: e.action, What: hwm.CutWhy(e.what), Why: e.why, Who: actor.From(ctx).String(), Result: "done",
	}
	if err != nil {
		full.Result = hwm.CutWhy(fmt.Sprintf("refused (%s): %s", ReasonOf(err), err))
		if l.repeats(full) {
			return
		}
	}
	if failed := l.Note(full); failed != nil && l.Log != nil {
		l.Log.Error("an act is not in the journal", slog.String("act", full.Action), slog.String("what", full.What),
			slog.String("who", full.Who), slog.String("result", full.Result), slog.String("error", failed.Error()))
	}
}

// NoteAct writes down an act of a command at a stopped instance.
func (l *Local) NoteAct(ctx context.Context, action, what string, err error) {
	acts{l}.note(ctx, entry{action: action, what: what}, err)
}

// repeats tells whether the newest entry is the same refusal: a script in a loop must not push the other entries out.
func (l acts) repeats(e hwm.JournalEntry) bool {
	if l.Acts == nil {
		return false
	}
	all := l.Acts()
	if len(all) == 0 {
		return false
	}
	last := all[len(all)-1]
	return last.Action == e.Action && last.What == e.What && last.Who == e.Who && last.Result == e.Result
}

// refusalOf is the refusal of an answer as an error.
func refusalOf(r *wire.Refusal, err error) error {
	if err == nil && r != nil {
		return r
	}
	return err
}

func (l acts) Acknowledge(ctx context.Context, r AcknowledgeRequest) ([]signer.Alarm, error) {
	left, err := l.Local.Acknowledge(ctx, r)
	what := fmt.Sprintf("alarms up to %d", r.UpTo)
	if len(r.IDs) > 0 {
		what = "alarms " + strings.Trim(fmt.Sprint(r.IDs), "[]")
	}
	l.note(ctx, entry{"acknowledge", what, ""}, err)
	return left, err
}

func (l acts) Prove(ctx context.Context, pkh tezos.PublicKeyHash) (Proof, error) {
	p, err := l.Local.Prove(ctx, pkh)
	l.note(ctx, entry{"prove", "possession of " + pkh.String(), ""}, err)
	return p, err
}

func (l acts) Raise(ctx context.Context, r RaiseRequest) ([]ChangeRow, error) {
	rows, err := l.Local.Raise(ctx, r)
	if r.DryRun {
		return rows, err
	}
	e := entry{"set", fmt.Sprintf("marks of %s to level %d", someKeys(r.PKHs), r.Level), ""}
	if r.Round != nil {
		e.what += fmt.Sprintf(" round %d", *r.Round)
	}
	if len(r.Rows) > 0 {
		e = entry{"import", words.Count(len(r.Rows), "mark"), ""}
	}
	if raised := slices.DeleteFunc(slices.Clone(rows), func(c ChangeRow) bool { return c.Result != "raised" }); err == nil {
		e.what += fmt.Sprintf("; %d raised", len(raised))
		for _, b := range r.Bundles {
			e.what = withHead(e.what+"; bundle of "+b.Instance.String(), &b.Head)
			if l.Heard != nil {
				l.Heard(b)
			}
		}
	}
	l.note(ctx, e, err)
	return rows, err
}

func (l acts) SetCeiling(ctx context.Context, r CeilingRequest) ([]CeilingRow, error) {
	rows, err := l.Local.SetCeiling(ctx, r)
	l.note(ctx, entry{"ceiling", fmt.Sprintf("%d of %s", r.Level, someKeys(r.PKHs)), ""}, err)
	return rows, err
}

func (l acts) Activate(ctx context.Context, r ActivateRequest) (Role, error) {
	role, err := l.Local.Activate(ctx, r)
	if !r.DryRun {
		what := ""
		if r.Level != nil {
			what = fmt.Sprintf("with all marks at level %d", *r.Level)
		}
		l.note(ctx, entry{"activate", what, r.Why}, err)
	}
	return role, err
}

func (l acts) Standby(ctx context.Context, r StandbyRequest) (Role, error) {
	role, err := l.Local.Standby(ctx, r)
	l.note(ctx, entry{"stand by", "", r.Why}, err)
	return role, err
}

func (l acts) RaiseDevices(ctx context.Context) ([]signer.DeviceMarks, error) {
	m, err := l.Local.RaiseDevices(ctx)
	l.note(ctx, entry{"raise", "the devices' own marks", ""}, err)
	return m, err
}

// DeviceLooks are the verbs of devices that change nothing.
var DeviceLooks = []string{"info", "logs"}

// DeviceCall notes the verb, and no arguments: a passphrase may be among them.
func (l acts) DeviceCall(ctx context.Context, c DeviceCall, show func(string)) (json.RawMessage, error) {
	result, err := l.Local.DeviceCall(ctx, c, show)
	if !slices.Contains(DeviceLooks, c.Verb) {
		l.note(ctx, entry{"device", c.Device + ": " + c.Verb, ""}, err)
	}
	return result, err
}

func (l acts) SetPeer(ctx context.Context, r PeerRequest) (failover.View, error) {
	v, err := l.Local.SetPeer(ctx, r)
	e := entry{"peer add", fmt.Sprintf("%s at %s", r.Key, r.Address), ""}
	if r.Address == "" {
		e = entry{action: "peer remove"}
	}
	l.note(ctx, e, err)
	return v, err
}

func (l acts) Handover(ctx context.Context, r failover.HandoverRequest) (HandoverAnswer, error) {
	h, err := l.Local.Handover(ctx, r)
	if !r.DryRun {
		what := ""
		if r.At != nil {
			what = fmt.Sprintf("by level %d", *r.At)
		}
		if r.To != nil {
			what = strings.TrimSpace(what + " to " + r.To.String())
		}
		l.note(ctx, entry{"handover", what, ""}, refusalOf(h.Refusal, err))
	}
	return h, err
}

func (l acts) Release(ctx context.Context, r ReleaseRequest) (wire.Certificate, error) {
	c, err := l.Local.Release(ctx, r)
	l.note(ctx, entry{"release", fmt.Sprintf("by level %d", r.At), ""}, err)
	return c, err
}

func (l acts) Accept(ctx context.Context, r AcceptRequest) (Role, error) {
	role, err := l.Local.Accept(ctx, r)
	what := ""
	if c := r.Certificate; c.AuditHead != nil {
		what = withHead(fmt.Sprintf("release of epoch %d by %s", c.Epoch, c.From), c.AuditHead)
	}
	l.note(ctx, entry{"accept", what, ""}, err)
	return role, err
}

func (l acts) Takeover(ctx context.Context, r failover.TakeoverRequest) (TakeoverAnswer, error) {
	var head *loghead.Head
	if !r.Check {
		head = l.auditHead(ctx) // of the log before the takeover
	}
	t, err := l.Local.Takeover(ctx, r)
	if !r.Check {
		what := ""
		if r.CannotSign {
			what = "stated: the other instance cannot sign"
		}
		l.note(ctx, entry{"takeover", withHead(what, head), r.Why}, refusalOf(t.Refusal, err))
	}
	return t, err
}

// withHead adds the head of an audit log to the words of an entry.
func withHead(what string, h *loghead.Head) string {
	if h == nil {
		return what
	}
	return strings.TrimPrefix(what+"; audit head "+h.String(), "; ")
}

// someKeys are the keys of a request in words.
func someKeys(pkhs []tezos.PublicKeyHash) string {
	switch len(pkhs) {
	case 0:
		return "all keys"
	case 1:
		return pkhs[0].String()
	}
	return words.Count(len(pkhs), "key")
}
