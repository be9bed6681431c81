package operate

import (
	"context"
	"crypto"
	"log/slog"
	"time"

	"highwater/failover"
	"highwater/guard"
	"highwater/hwm"
	"highwater/internal/audit"
	"highwater/internal/certs"
	"highwater/internal/early"
	"highwater/internal/history"
	"highwater/internal/loghead"
	"highwater/internal/rights"
	"highwater/internal/tezos"
	"highwater/signer"
)

// Local does the use cases on a signer in this process.
type Local struct {
	Signer  *signer.Signer
	Store   signer.Store
	Version string
	Running bool // this process is the daemon
	Now     func() time.Time
	Devices DeviceFunc     // nil: the devices are not open here
	Node    *failover.Node // nil: no peer is known
	// Shared: the right to sign is shared through a register. Register is nil without a daemon.
	Shared   bool
	Register Register
	// Seen is the memory of the register, for a process without a daemon.
	Seen func() hwm.RegisterSeen

	Identity  crypto.Signer    // nil: bundles are not made here
	LastAsked func() time.Time // time of the last request for a signature; nil where no client can ask
	Guard     *guard.Guard     // nil: the process is no daemon, or no node is configured
	LastRun   *LastRun         // nil: not known
	// Certificates gives the TLS certificates in use; nil: none here.
	Certificates func() []certs.Row
	// Name is the machine's name of the configuration; may be empty.
	Name string
	// Recent keeps the latest levels; nil: the process is no daemon.
	Recent *history.History
	// Rights follows the rights of the keys; nil: the process is no daemon, or no node is configured.
	Rights *rights.Follower
	// Early holds the early warnings; nil: the process is no daemon.
	Early *early.Watch
	// Audit gives the end of the audit log; nil result: there is none. The function may be nil.
	Audit func() *audit.State
	// AuditHead gives the head of the audit log, durable and within a bound; nil result: none. The function may be nil.
	AuditHead func(ctx context.Context) *loghead.Head
	// Heard is told of the head in an imported bundle, and does not wait; may be nil.
	Heard func(BundleHead)
	// Acts gives the journal, oldest entry first; nil: no journal is kept.
	Acts func() []hwm.JournalEntry
	// Note adds an entry to the journal; nil: no journal is kept.
	Note func(hwm.JournalEntry) error
	// Forgotten counts the entries that the journal had, and has no more; may be nil.
	Forgotten func() uint64
	Log       *slog.Logger // may be nil

	planned plans // of Rights
}

// Admin gives all use cases, with an entry in the journal for every act.
func (l *Local) Admin() Admin {
	a := acts{l}
	return Admin{a, a, a, a, a, a, a}
}

// History gives the latest levels; none without a daemon.
func (l *Local) History(_ context.Context, most int) (all []history.Series, left int, err error) {
	if l.Recent == nil {
		return []history.Series{}, 0, nil
	}
	missed := history.Missed{}
	if _, to := l.Rights.Known(); to > 0 {
		l.Rights.EachMissed(max(0, to-history.Levels+1), missed.Add)
	}
	all, left = l.Recent.Read(missed, most)
	return all, left, nil
}

// auditHead is the head of the audit log; nil: none.
func (l *Local) auditHead(ctx context.Context) *loghead.Head {
	if l.AuditHead == nil {
		return nil
	}
	return l.AuditHead(ctx)
}

func (l *Local) aliases() map[tezos.PublicKeyHash]string {
	out := map[tezos.PublicKeyHash]string{}
	for _, k := range l.Signer.Keys() {
		out[k.PKH] = k.Alias
	}
	return out
}

// Acknowledge ends the named alarms.
func (l *Local) Acknowledge(_ context.Context, r AcknowledgeRequest) ([]signer.Alarm, error) {
	if len(r.IDs) > 0 {
		return l.Signer.AcknowledgeThese(r.IDs...), nil
	}
	return l.Signer.Acknowledge(r.UpTo), nil
}
