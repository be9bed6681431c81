package daemon

import (
	"context"
	"fmt"
	"time"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/audit"
	"highwater/internal/config"
	"highwater/internal/loghead"
	"highwater/operate"
	"highwater/register"
	"highwater/signer"
)

// newAudit makes the audit log of a running daemon; nil where the configuration wants none.
func newAudit(cfg *config.Config, instance string, opt Options) *audit.Log {
	if !opt.Running || cfg.Audit.Bytes() == 0 {
		return nil
	}
	return audit.New(audit.Config{
		Dir: cfg.AuditDir(), MaxSize: cfg.Audit.Bytes(), Instance: instance, Chain: cfg.ChainID.String(), Log: opt.Log,
	})
}

// decisionOf is the record of a request.
func decisionOf(o signer.Outcome) audit.Decision {
	d := audit.Decision{
		At: time.Now(), Chain: o.Chain, PKH: o.PKH, Kind: o.Kind, Level: o.Level, Round: o.Round, Digest: o.Digest,
		Client: o.Client, Before: audit.NoPlace, Moved: o.Moved, Verdict: o.Decision, Reason: o.Reason, Device: o.Device,
		Took: o.Duration, Signature: o.Signature,
	}
	if o.Marked {
		d.Before = audit.Place{Level: o.Before.Level, Round: o.Before.Round}
	}
	switch o.Reason {
	case signer.UnknownKey, signer.WrongChain, string(hwm.TooFar), "bad_payload":
		d.Stranger = true
	}
	return d
}

// roleText is a change of role for the audit log.
func roleText(r hwm.RoleRecord) string {
	return fmt.Sprintf("%s at epoch %d: %s", r.Role, r.Epoch, r.Why)
}

// auditHead is the head of the running audit log, or of its files while no daemon runs; nil: none.
func (in *Instance) auditHead(ctx context.Context) *loghead.Head {
	if in.Config.Audit.Bytes() == 0 || in.audit != nil {
		return in.audit.Head(ctx)
	}
	h, err := audit.LastHead(in.Config.AuditDir())
	if err != nil {
		in.log.Warn("audit head not read: a bundle goes without the head", "error", err.Error())
	}
	return h
}

// accepted writes the head of the peer's log into the own log.
func (in *Instance) accepted(c *wire.Certificate) {
	if c.AuditHead != nil {
		in.audit.Hear(c.From.String(), fmt.Sprintf("certificate of epoch %d", c.Epoch), *c.AuditHead)
	}
}

// heardRelease writes the head of the last owner's log into the own log.
func (in *Instance) heardRelease(h register.Heard) {
	in.audit.Hear(nameOf(h.From), fmt.Sprintf("release of epoch %d in the register", h.Epoch), h.Head)
}

// heardBundle writes the head of the log of a bundle's writer into the own log.
func (in *Instance) heardBundle(b operate.BundleHead) {
	in.audit.Hear(b.Instance.String(), "imported bundle", b.Head)
}

// nameOf is an instance in hex; empty: not known.
func nameOf(id hwm.InstanceID) string {
	if id == (hwm.InstanceID{}) {
		return ""
	}
	return id.String()
}

// auditPatience is how long the end of an instance waits for the audit log: its disk may hang.
const auditPatience = 2 * time.Second

// endAudit ends the audit log, after the last request.
func (in *Instance) endAudit() {
	if in.audit == nil {
		return
	}
	in.stopAudit()
	patience := time.NewTimer(auditPatience)
	defer patience.Stop()
	select {
	case <-in.auditDone:
	case <-patience.C:
		in.log.Warn("audit log not ended: its disk does not answer")
	}
}
