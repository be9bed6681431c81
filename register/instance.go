package register

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"highwater/hwm"
	"highwater/signer"
)

// Store keeps the marks and the role of an Instance, and its memory of the register.
type Store interface {
	signer.Store
	RegisterSeen() hwm.RegisterSeen
	SeeRegister(change func(*hwm.RegisterSeen)) error
}

// Instance is a Machine made of a signer and its store.
type Instance struct {
	Signer *signer.Signer
	Store  Store
	Level  func() *hwm.Known               // the newest head of the machine's own node; nil: not known
	InStep func(ctx context.Context) error // nil when the node keeps up with the chain
	Log    *slog.Logger

	mu     sync.Mutex
	level  int32     // the last head
	moved  time.Time // the time of the last head; the monotonic part counts
	marked uint64    // the epoch of the marks taken in
}

// headStale is how long a node without a new head still counts as in step: some ten blocks.
const headStale = time.Minute

// stepTimeout bounds the question to the node.
const stepTimeout = 2 * time.Second

// Seen is this instance's memory of the register.
func (i *Instance) Seen() Seen { return i.Store.RegisterSeen() }

// SetSeen keeps the memory of the register, and leaves an operator's words unchanged.
func (i *Instance) SetSeen(s Seen) error {
	return i.Store.SeeRegister(func(have *hwm.RegisterSeen) {
		have.Cluster, have.Revision, have.Epoch, have.Horizon = s.Cluster, s.Revision, s.Epoch, s.Horizon
	})
}

// Head is the level of the machine's own node.
func (i *Instance) Head() (int32, bool) {
	known := i.Level()
	if known == nil {
		return 0, false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if known.Level != i.level {
		i.level, i.moved = known.Level, time.Now()
	}
	return known.Level, true
}

// Ready is nil when this machine could sign with every key, given the right. No clock but the machine's own steady
// clock is asked.
func (i *Instance) Ready() error {
	if err := i.Store.Healthy(); err != nil {
		return err
	}
	if _, ok := i.Head(); !ok {
		return errors.New("the node has told no head yet")
	}
	i.mu.Lock()
	age := time.Since(i.moved)
	i.mu.Unlock()
	if age > headStale {
		return fmt.Errorf("the node has told no new head for %s", age.Round(time.Second))
	}
	if err := i.ready(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()
	return i.InStep(ctx)
}

// ready looks at keys, devices and marks.
func (i *Instance) ready() error {
	keys := i.Signer.KeysHealth()
	if len(keys) == 0 {
		return errors.New("no key is known yet")
	}
	inService := signer.InService(keys)
	for _, h := range keys {
		for _, f := range h.Own() {
			if (f.OfDevice() || f.Reason == signer.KeyNoMark) && (!f.Note || !inService) {
				return fmt.Errorf("key %s: %s: %s", h.PKH, f.Word(), f.Advice())
			}
		}
	}
	return nil
}

// Signing tells whether requests are let in, and a key can sign.
func (i *Instance) Signing() bool {
	if !i.Signer.Active() || i.Store.Healthy() != nil {
		return false
	}
	for _, h := range i.Signer.KeysHealth() {
		if h.Unable() == nil {
			return true
		}
	}
	return false
}

// Barred says why this machine takes nothing by itself.
func (i *Instance) Barred() string {
	if r := i.Store.Role(); r.Role == hwm.Fenced {
		return "this instance is fenced: " + r.Why
	}
	if why := i.Store.RegisterSeen().Aside; why != "" {
		return "an operator put this instance on standby: " + why
	}
	return ""
}

// Near is nil for a level explained by time.
func (i *Instance) Near(level int32) error {
	limit, err := i.Signer.LimitOfAll()
	if err != nil || limit.Allows(level) {
		return err
	}
	return fmt.Errorf("the register's horizon %d is %s: too far to be followed", level, limit.Distance(level))
}

// Follow takes the marks of a record in: a machine without marks of its own can begin with the record's marks.
func (i *Instance) Follow(r Record) error {
	i.mu.Lock()
	known := i.marked == r.Epoch
	i.mu.Unlock()
	if known || len(r.Marks) == 0 || i.Near(r.Horizon) != nil {
		return nil
	}
	if _, err := i.Store.Raise(i.named(r)); err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.marked = r.Epoch
	return nil
}

// named are the marks of a record, as floors.
func (i *Instance) named(r Record) []hwm.Row {
	now := time.Now()
	out := make([]hwm.Row, 0, len(r.Marks))
	for _, m := range r.Marks {
		key := hwm.Key{Chain: r.Chain, PKH: m.PKH, Kind: m.Kind}
		out = append(out, hwm.Row{Key: key, Mark: hwm.Mark{Position: m.position(), At: now, Source: hwm.SourcePeer}})
	}
	return out
}

// floors are the floors of a record: for every mark here, and for every mark of the record. A key without a mark stays
// without a mark.
func (i *Instance) floors(r Record) ([]hwm.Row, error) {
	rows, err := i.Store.Rows()
	if err != nil {
		return nil, err
	}
	out, now := i.named(r), time.Now()
	for _, row := range rows {
		if row.Chain == r.Chain {
			floor := hwm.Mark{Position: r.FloorOf(row.PKH, row.Kind), At: now, Source: hwm.SourcePeer}
			out = append(out, hwm.Row{Key: row.Key, Mark: floor})
		}
	}
	return out, nil
}

// Begin makes role and floors durable in one write, then lets requests in.
func (i *Instance) Begin(ctx context.Context, r Record) error {
	floors, err := i.floors(r)
	if err != nil {
		return err
	}
	mine := i.Store.Role()
	next := hwm.RoleRecord{
		Role: hwm.Active, Epoch: max(r.Epoch, mine.Epoch+1), Owner: i.Store.Instance(),
		Why: fmt.Sprintf("has the right to sign in the register, above level %d", r.Floor),
	}
	if err = i.Store.SeeRegister(func(s *hwm.RegisterSeen) { s.Aside = "" }); err != nil {
		return err
	}
	_, err = i.Signer.Become(context.WithoutCancel(ctx), next, floors)
	return err
}

// End ends signing. A fence stays a fence.
func (i *Instance) End(ctx context.Context, why string) error {
	if i.Store.Role().Role != hwm.Active {
		return nil
	}
	_, err := i.Signer.Stand(ctx, hwm.Standby, why)
	return err
}

// Marks are all marks of the chain, exact and durable.
func (i *Instance) Marks() ([]Mark, error) { return MarksOf(i.Store, i.Signer) }

// MarksOf are the marks of a store, for a record.
func MarksOf(store signer.Marks, s *signer.Signer) ([]Mark, error) {
	rows, err := store.Rows()
	if err != nil {
		return nil, err
	}
	var out []Mark
	for _, r := range rows {
		if r.Chain == s.Chain() {
			out = append(out, Mark{PKH: r.PKH, Kind: r.Kind, Level: r.Level, Round: r.Round})
		}
	}
	return out, nil
}

// Denied raises the alarm after a register went back.
func (i *Instance) Denied(err error) {
	i.Log.Error("the register gives nobody the right to sign", "error", err)
	if errors.Is(err, ErrOlder) {
		i.Signer.RaiseAlarm(signer.AlarmRegisterOlder, "register", "", err.Error(), hintOlder)
	}
}

const hintOlder = "the register was restored from a copy, or other servers answer. Nobody signs by the register. " +
	"Stop every signer first; afterwards see docs/register.md, \"A register that went back\""

// Changed wakes the waiting requests.
func (i *Instance) Changed() { i.Signer.RightChanged() }
