package operate

import (
	"context"
	"crypto"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"highwater/failover"
	"highwater/guard"
	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/hints"
	"highwater/internal/tezos"
	"highwater/signer"
)

// Local is the admin API of a signer in this process.
type Local struct {
	Signer  *signer.Signer
	Store   signer.Store
	Version string
	Running bool // this process is the daemon
	Now     func() time.Time
	Devices DeviceFunc     // nil: the devices are not open here
	Node    *failover.Node // nil: nothing is known of another instance

	Identity  crypto.Signer    // nil: bundles are not made here
	LastAsked func() time.Time // when a client asked for a signature last; nil where clients cannot ask
	Guard     *guard.Guard     // nil: it is no daemon, or no node is configured
	LastRun   *LastRun         // nil: not known
	// Acts gives the journal, oldest entry first; nil: none is kept.
	Acts func() []hwm.JournalEntry
}

// Admin gives all of it.
func (l *Local) Admin() Admin { return Admin{l, l, l, l, l, l, l} }

// Status gives one screen.
func (l *Local) Status(ctx context.Context) (Status, error) {
	keys := l.Signer.KeysHealth()
	// A store that failed tells nothing of its marks any more. That is what a status is for, and no reason to give none.
	broken := l.Store.Healthy()
	marks := []MarkRow{}
	if broken == nil {
		var err error
		if marks, err = l.Marks(ctx); err != nil {
			return Status{}, err
		}
	}
	me := l.Store.Instance()
	st := Status{
		Version: l.Version, Running: l.Running, Signing: l.Running && l.Signer.Active(), Instance: hex.EncodeToString(me[:]),
		Chain: l.Signer.Chain().String(), Role: l.role(), Store: "ok", Devices: []DeviceRow{}, Keys: l.keyRows(keys), Marks: marks,
	}
	if broken != nil {
		st.Store = broken.Error()
		if hint := hints.Of(broken); hint != "" {
			st.Store += "; " + hint
		}
	}
	for _, d := range l.Signer.Devices() {
		st.Devices = append(st.Devices, DeviceRow{d.Name, d.Status, len(d.Keys)})
	}
	if l.LastAsked != nil {
		if at := l.LastAsked(); !at.IsZero() {
			st.LastAsked = &at
		}
	}
	st.Alarms, st.Guard, st.LastRun = l.Signer.Alarms(), l.guarded(), l.LastRun
	if l.Node != nil {
		v := l.Node.View()
		st.Pair = &v
	}
	st.NotReady, st.Notes = l.notReady(st, keys)
	st.Ahead = ahead(keys)
	st.Ready = len(st.NotReady) == 0
	return st, nil
}

// notReady says why the instance could not sign now; empty when it could. Notes are worth knowing, and no reason.
func (l *Local) notReady(st Status, keys []signer.KeyHealth) (no, notes []string) {
	if !l.Running {
		no = append(no, "the daemon does not run: highwater serve")
	}
	if st.Store != "ok" {
		no = append(no, "store: "+st.Store)
	}
	if st.Role.Role != hwm.Active {
		no = append(no, "role: "+st.Role.Role.String()+": "+st.Role.Why)
	} else if l.Running && !st.Signing {
		no = append(no, "role: "+l.whyClosed(st))
	}
	away := map[string]bool{}
	for _, d := range st.Devices {
		if away[d.Name] = d.Health != device.Ready; away[d.Name] {
			no = append(no, fmt.Sprintf("device %s: %s: %s", d.Name, d.Health, d.Advice))
		}
	}
	if len(st.Keys) == 0 {
		no = append(no, "keys: none is known yet")
	}
	reasons, asides := signer.Readiness(keys)
	for _, r := range reasons {
		if !away[r.Device] { // or it would be said twice
			no = append(no, keyLine(r))
		}
	}
	for _, r := range asides {
		notes = append(notes, keyLine(r))
	}
	return no, notes
}

// keyLine is a fault of a key in one line.
func keyLine(l signer.KeyLine) string {
	if l.Level != nil {
		return "marks: " + l.Text
	}
	if l.Reason == signer.KeyNoMark {
		return fmt.Sprintf("marks: %s has %s: %s", l.PKH, strings.TrimPrefix(l.Text, "the key has "), l.Hint)
	}
	return fmt.Sprintf("key %s: %s: %s", l.PKH, l.Word(), l.Advice())
}

// ahead are the keys that would not sign the level after the head.
func ahead(keys []signer.KeyHealth) (out []Ahead) {
	for _, h := range keys {
		for _, f := range h.Faults {
			if f.Level != nil {
				out = append(out, Ahead{h.PKH, f.Level.From, f.Level.Far, f.Text})
			}
		}
	}
	return out
}

// whyClosed says why an active instance lets nobody in.
func (l *Local) whyClosed(st Status) string {
	if st.Pair != nil && st.Pair.Waiting != "" {
		return st.Pair.Waiting
	}
	return "changing, or stopping"
}

func (l *Local) role() Role {
	r := l.Store.Role()
	return Role{
		Role: r.Role, Epoch: r.Epoch, Owner: hex.EncodeToString(r.Owner[:]), Mine: r.Owner == l.Store.Instance(),
		Since: r.Since, Why: r.Why,
	}
}

// Keys lists the keys.
func (l *Local) Keys(context.Context) ([]KeyRow, error) { return l.keyRows(l.Signer.KeysHealth()), nil }

func (l *Local) keyRows(healths []signer.KeyHealth) []KeyRow {
	rows, infos := []KeyRow{}, map[tezos.PublicKeyHash]signer.KeyInfo{}
	for _, k := range l.Signer.Keys() {
		infos[k.PKH] = k
	}
	for _, h := range healths {
		k, ok := infos[h.PKH]
		if !ok {
			continue // a device offered it just now
		}
		row := KeyRow{
			PKH: k.PKH, Curve: k.PKH.Curve.String(), Alias: k.Alias, Allow: k.Allow, Device: h.Device, Spares: h.Spares,
			Health: string(h.Health), New: h.New, Faults: h.Own(),
		}
		if k.PublicKey != nil {
			row.PublicKey = k.PublicKey.String()
		}
		if f := h.Unable(); f != nil && f.OfDevice() {
			row.Advice = f.Advice()
		}
		rows = append(rows, row)
	}
	return rows
}

// Marks lists the marks, and the lack of them for keys that are known.
func (l *Local) Marks(context.Context) ([]MarkRow, error) {
	rows, err := l.Store.Rows()
	if err != nil {
		return nil, err
	}
	missing, err := l.Signer.MissingMarks()
	if err != nil {
		return nil, err
	}
	aliases, ceilings, horizons := l.aliases(), l.Store.Ceilings(), l.Store.Horizons()
	out := make([]MarkRow, 0, len(rows)+len(missing))
	for _, key := range missing {
		rows = append(rows, hwm.Row{Key: key, Mark: hwm.Mark{}})
	}
	hwm.SortRows(rows)
	for _, r := range rows {
		row := MarkRow{Chain: r.Chain, PKH: r.PKH, Alias: aliases[r.PKH], Kind: r.Kind}
		if !slices.Contains(missing, r.Key) {
			level, round, at := r.Level, r.Round, r.At
			row.Level, row.Round, row.UpdatedAt, row.Source = &level, &round, &at, r.Source.String()
			row.Signed = !r.Signature.IsZero()
		}
		if c, ok := ceilings[hwm.CeilingKey{Chain: r.Chain, PKH: r.PKH}]; ok {
			row.Ceiling = &c.Level
		}
		if h, ok := horizons[hwm.CeilingKey{Chain: r.Chain, PKH: r.PKH}]; ok {
			row.Horizon = &h
		}
		out = append(out, row)
	}
	return out, nil
}

func (l *Local) aliases() map[tezos.PublicKeyHash]string {
	out := map[tezos.PublicKeyHash]string{}
	for _, k := range l.Signer.Keys() {
		out[k.PKH] = k.Alias
	}
	return out
}

// Prove gives the proof of possession of a tz4 key.
func (l *Local) Prove(ctx context.Context, pkh tezos.PublicKeyHash) (Proof, error) {
	key, err := l.Signer.PublicKey(pkh)
	if err != nil {
		return Proof{}, err
	}
	proof, err := l.Signer.Prove(ctx, pkh)
	if err != nil {
		return Proof{}, err
	}
	return Proof{PKH: pkh, PublicKey: key.String(), Proof: proof}, nil
}

// Raise merges floors by maximum.
func (l *Local) Raise(ctx context.Context, r RaiseRequest) ([]ChangeRow, error) {
	rows, err := l.floors(r)
	if err != nil {
		return nil, err
	}
	if err = l.checkFar(ctx, r, rows); err != nil {
		return nil, err
	}
	raise := l.Store.Raise
	if r.DryRun {
		raise = l.wouldRaise
	}
	changes, err := raise(rows)
	if err != nil {
		return nil, err
	}
	aliases, want := l.aliases(), map[hwm.Key]hwm.Position{}
	for _, row := range rows {
		want[row.Key] = row.Position
	}
	out := make([]ChangeRow, 0, len(changes))
	for _, c := range changes {
		row := ChangeRow{PKH: c.PKH, Alias: aliases[c.PKH], Kind: c.Kind, After: c.After.Position, Result: "kept"}
		switch {
		case c.Raised:
			row.Result = "raised"
		case c.Before.Position == want[c.Key]:
			row.Why = "it is there already"
		default:
			row.Why = "it is higher, and a mark only rises; down goes: highwater hwm lower, at a stopped instance"
		}
		if c.Before != nil {
			before := c.Before.Position
			row.Before = &before
		}
		out = append(out, row)
	}
	return out, nil
}

// wouldRaise is Raise, changing nothing.
func (l *Local) wouldRaise(rows []hwm.Row) ([]hwm.Change, error) {
	have := map[hwm.Key]*hwm.Mark{}
	var out []hwm.Change
	for _, r := range rows {
		if _, seen := have[r.Key]; !seen {
			st, err := l.Store.State(r.Key)
			if err != nil {
				return nil, err
			}
			have[r.Key] = st.Mark
		}
		c := hwm.Merge(r.Key, have[r.Key], r.Mark)
		have[r.Key] = &c.After
		out = append(out, c)
	}
	return out, nil
}

func (l *Local) floors(r RaiseRequest) ([]hwm.Row, error) {
	if r.Level < 0 || r.Round != nil && *r.Round < 0 {
		return nil, badRequest("a negative level or round")
	}
	if len(r.Rows) > 0 {
		rows := make([]hwm.Row, 0, len(r.Rows))
		for n, i := range r.Rows {
			// A row without its key or kind would be written, and never be read again.
			if !slices.Contains(tezos.Kinds, i.Kind) || i.PKH == (tezos.PublicKeyHash{}) || i.Level < 0 || i.Round < 0 {
				return nil, badRequest("row %d wants pkh, kind, and a level and round that are not negative", n+1)
			}
			mark := hwm.Mark{Position: hwm.Position{Level: i.Level, Round: i.Round}, At: l.Now(), Source: hwm.SourceImport}
			rows = append(rows, hwm.Row{Key: hwm.Key{Chain: l.Signer.Chain(), PKH: i.PKH, Kind: i.Kind}, Mark: mark})
		}
		return rows, nil
	}
	keys, err := l.Signer.Targets(r.PKHs, r.Kinds)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, l.Signer.NoKeys("there is nothing to raise")
	}
	mark := hwm.Floor(r.Level, l.Now(), hwm.SourceSet)
	if r.Round != nil {
		mark.Round = *r.Round
	}
	rows := make([]hwm.Row, 0, len(keys))
	for _, k := range keys {
		rows = append(rows, hwm.Row{Key: k, Mark: mark})
	}
	return rows, nil
}

// limit is how far marks are moved without the operator's word. It asks the node, where its head is not known yet.
func (l *Local) limit(ctx context.Context) (hwm.Limit, error) {
	if l.Node != nil {
		l.Node.LookAtHead(ctx)
	}
	return l.Signer.LimitOfAll()
}

// checkFar wants the operator's word for a level far above the highest known on this chain, and for a first mark that is typed far below
// the node's head. Where nothing is known, there is nothing to compare with.
func (l *Local) checkFar(ctx context.Context, r RaiseRequest, rows []hwm.Row) error {
	if r.Far {
		return nil
	}
	limit, err := l.limit(ctx)
	if err != nil {
		return err
	}
	for _, row := range rows {
		st, err := l.Store.State(row.Key)
		if err != nil {
			return err
		}
		switch {
		case st.Mark == nil && row.Source == hwm.SourceSet:
			err = limit.CheckFirst(row.Key, row.Position)
		case st.Mark == nil || row.Above(*st.Mark): // what is there already goes nowhere
			err = limit.Check(row.Key, row.Position)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// SetCeiling sets or lowers the ceilings of keys.
func (l *Local) SetCeiling(ctx context.Context, r CeilingRequest) ([]CeilingRow, error) {
	if r.Level < 0 {
		return nil, badRequest("a ceiling at the negative level %d", r.Level)
	}
	keys, err := l.Signer.Targets(r.PKHs, []tezos.Kind{tezos.Block})
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, l.Signer.NoKeys("there is nothing to put a ceiling on")
	}
	limit, err := l.limit(ctx)
	if err != nil {
		return nil, err
	}
	if !r.Far { // one that is too high keeps nothing back, and one far below the head ends signing
		if err := limit.CheckFirst(keys[0], hwm.Position{Level: r.Level}); err != nil {
			return nil, err
		}
	}
	aliases := l.aliases()
	out := []CeilingRow{}
	for _, k := range keys {
		key := hwm.CeilingKey{Chain: k.Chain, PKH: k.PKH}
		row := CeilingRow{PKH: k.PKH, Alias: aliases[k.PKH], After: r.Level}
		if c, ok := l.Store.Ceilings()[key]; ok {
			row.Before = &c.Level
		}
		if err := l.Store.SetCeiling(key, hwm.Ceiling{Level: r.Level, At: l.Now(), Source: hwm.SourceSet}); err != nil {
			return out, err
		}
		out = append(out, row)
	}
	return out, nil
}

// raiseAfterActivate bounds what raising the devices' own marks may hold up the answer to an activation.
const raiseAfterActivate = 5 * time.Second

// Activate makes the instance the one that signs. The devices' own marks are raised to its marks before it returns, where a device can do
// that unattended.
func (l *Local) Activate(ctx context.Context, r ActivateRequest) (Role, error) {
	if r.Level != nil && *r.Level < 0 {
		return Role{}, badRequest("the negative level %d", *r.Level)
	}
	if r.Level != nil && l.Store.Role().Role == hwm.Active {
		return Role{}, &Refusal{AlreadyActive, "this instance is active already: no mark was raised"}
	}
	if r.Level != nil {
		if err := l.checkFar(ctx, RaiseRequest{Far: r.Far}, l.Signer.Floors(*r.Level, hwm.SourceSet)); err != nil {
			return Role{}, err
		}
	}
	if r.DryRun {
		return l.role(), l.checkActivate(ctx, r.Level)
	}
	activate := func(context.Context, *int32, string) (hwm.RoleRecord, error) {
		return l.Signer.Activate(r.Level, r.Why)
	}
	if l.Node != nil {
		activate = l.Node.Activate
	}
	if _, err := activate(ctx, r.Level, r.Why); err != nil {
		return Role{}, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), raiseAfterActivate)
	defer cancel()
	l.Signer.RaiseDevices(ctx) // the marks may be new; what cannot be raised now is raised at the device's next connection
	return l.role(), nil
}

// checkActivate finds what an activation would lack, before anybody is asked for a word.
func (l *Local) checkActivate(ctx context.Context, level *int32) error {
	if l.Node != nil {
		if err := l.Node.CheckActivate(ctx); err != nil {
			return err
		}
	}
	return l.Signer.CheckActivate(level)
}

// Standby ends signing.
func (l *Local) Standby(ctx context.Context, r StandbyRequest) (Role, error) {
	stand := func(ctx context.Context, why string) (hwm.RoleRecord, error) {
		return l.Signer.Stand(ctx, hwm.Standby, why)
	}
	if l.Node != nil {
		stand = l.Node.Stand
	}
	if _, err := stand(ctx, r.Why); err != nil {
		return Role{}, err
	}
	return l.role(), nil
}

// Acknowledge ends the alarms that are named.
func (l *Local) Acknowledge(_ context.Context, r AcknowledgeRequest) ([]signer.Alarm, error) {
	if len(r.IDs) > 0 {
		return l.Signer.AcknowledgeThese(r.IDs...), nil
	}
	return l.Signer.Acknowledge(r.UpTo), nil
}
