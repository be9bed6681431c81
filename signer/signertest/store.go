package signertest

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"highwater/hwm"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
	"highwater/signer"
)

// Store is a signer.Store in memory, for tests with a bubble's clock. The store passes the suite of store/storetest,
// has no horizons, and loses its content with the process.
type Store struct {
	sync time.Duration // how long its disk takes for a mark

	mu       sync.Mutex
	instance hwm.InstanceID
	marks    map[hwm.Key]hwm.State // without ceilings
	durable  map[hwm.Key]hwm.Mark  // that were waited for
	ceilings map[hwm.CeilingKey]hwm.Ceiling
	role     hwm.RoleRecord
	onRole   func()
	memory
}

var _ signer.Store = (*Store)(nil)

// NewStore makes the store of an active instance with a slow disk, and with floors at level 10 for all kinds of keys.
func NewStore(disk time.Duration, keys ...*softkey.Key) *Store {
	m := EmptyStore(hwm.InstanceID{1})
	m.sync, m.role = disk, hwm.RoleRecord{Role: hwm.Active, Epoch: 1, Owner: m.instance}
	for _, k := range keys {
		for _, key := range hwm.KeysOf(Chain, k.PublicKey().Hash()) {
			floor := hwm.Floor(10, At, hwm.SourceSet)
			m.marks[key] = hwm.State{Mark: &floor}
		}
	}
	return m
}

// EmptyStore makes the store of an instance on standby that knows nothing.
func EmptyStore(id hwm.InstanceID) *Store {
	return &Store{
		instance: id, marks: map[hwm.Key]hwm.State{}, durable: map[hwm.Key]hwm.Mark{},
		ceilings: map[hwm.CeilingKey]hwm.Ceiling{},
		role:     hwm.RoleRecord{Role: hwm.Standby, Owner: id, Since: At}, memory: newMemory(),
	}
}

// Reopen gives the store that the next process finds after an end in order.
func (m *Store) Reopen() *Store {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := EmptyStore(m.instance)
	for key, st := range m.marks {
		next.marks[key] = hwm.State{Mark: st.Mark}
	}
	next.role, next.ceilings, next.memory = m.role, maps.Clone(m.ceilings), m.clone()
	return next
}

// Set puts a state in the place of a key's, as another process would that writes the same file.
func (m *Store) Set(key hwm.Key, st hwm.State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.marks[key] = hwm.State{Mark: st.Mark, Fresh: st.Fresh}
	if st.Ceiling != nil {
		m.ceilings[ceilingOf(key)] = *st.Ceiling
	}
}

// OnRole has f called at each change of role, when the new role is durable and SetRole has not returned; nil: nobody.
func (m *Store) OnRole(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.onRole = f
}

// Durable counts the marks that a caller waited for.
func (m *Store) Durable() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.durable)
}

func ceilingOf(key hwm.Key) hwm.CeilingKey { return hwm.CeilingKey{Chain: key.Chain, PKH: key.PKH} }

// State is part of signer.Marks.
func (m *Store) State(key hwm.Key) (hwm.State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	st := m.marks[key]
	if c, ok := m.ceilings[ceilingOf(key)]; ok {
		st.Ceiling = &c
	}
	return st, nil
}

// Rows is part of signer.Marks.
func (m *Store) Rows() ([]hwm.Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rows := make([]hwm.Row, 0, len(m.marks))
	for key, st := range m.marks {
		if st.Mark != nil {
			rows = append(rows, hwm.Row{Key: key, Mark: *st.Mark})
		}
	}
	hwm.SortRows(rows)
	return rows, nil
}

// Advance is part of signer.Marks.
func (m *Store) Advance(key hwm.Key, mark hwm.Mark) (hwm.Pending, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	have := m.marks[key].Mark
	if have == nil {
		return nil, hwm.ErrNoMark
	}
	if err := keepable(key, mark); err != nil {
		return nil, err
	}
	if c, ok := m.ceilings[ceilingOf(key)]; !mark.Above(*have) || ok && mark.Level > c.Level {
		return nil, hwm.ErrMoved
	}
	m.marks[key] = hwm.State{Mark: &mark, Fresh: true}
	return pending{m, key, mark, time.Now().Add(m.sync)}, nil
}

// pending is a mark on its way to the disk.
type pending struct {
	m    *Store
	key  hwm.Key
	mark hwm.Mark
	done time.Time
}

func (p pending) Wait() error {
	<-time.After(time.Until(p.done))
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	p.m.durable[p.key] = p.mark
	return nil
}

// keepable tells whether a file could keep the mark.
func keepable(key hwm.Key, mark hwm.Mark) error {
	name, err := key.MarshalBinary()
	if err != nil {
		return err
	}
	var back hwm.Key
	if err = back.UnmarshalBinary(name); err != nil {
		return err
	}
	_, err = hwm.DecodeMark(name, key.PKH.Curve, mark.Encode(name))
	return err
}

// Keep is part of signer.Marks.
func (m *Store) Keep(key hwm.Key, digest [32]byte, sig tezos.Signature) {
	m.mu.Lock()
	defer m.mu.Unlock()
	st := m.marks[key]
	if st.Mark == nil || !st.Mark.HasDigest || st.Mark.Digest != digest || !st.Mark.Signature.IsZero() {
		return
	}
	mark := *st.Mark
	mark.Signature = sig
	if keepable(key, mark) == nil {
		m.marks[key] = hwm.State{Mark: &mark, Fresh: st.Fresh}
	}
}

// Raise is part of signer.Marks.
func (m *Store) Raise(rows []hwm.Row) ([]hwm.Change, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.raise(rows)
}

func (m *Store) raise(rows []hwm.Row) (changes []hwm.Change, err error) {
	for _, r := range rows {
		if r.Level < 0 || r.Round < 0 {
			return nil, fmt.Errorf("%s: a negative level or round", r.Key)
		}
		if err := keepable(r.Key, r.Mark); err != nil {
			return nil, err
		}
	}
	for _, r := range rows {
		c := hwm.Merge(r.Key, m.marks[r.Key].Mark, r.Mark)
		if c.Raised {
			m.marks[r.Key] = hwm.State{Mark: &r.Mark}
		}
		changes = append(changes, c)
	}
	return changes, nil
}

// Healthy is part of signer.Marks: the disk of this store never fails.
func (m *Store) Healthy() error { return nil }

// Instance is part of signer.Rights.
func (m *Store) Instance() hwm.InstanceID { return m.instance }

// Role is part of signer.Rights.
func (m *Store) Role() hwm.RoleRecord {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.role
}

// SetRole is part of signer.Rights.
func (m *Store) SetRole(next hwm.RoleRecord, floors []hwm.Row, ceilings ...hwm.CeilingChange) error {
	m.mu.Lock()
	err := m.setRole(next, floors, ceilings)
	hook := m.onRole
	m.mu.Unlock()
	if err == nil && hook != nil {
		hook()
	}
	return err
}

func (m *Store) setRole(next hwm.RoleRecord, floors []hwm.Row, ceilings []hwm.CeilingChange) error {
	next.Why, next.Since = hwm.CutWhy(next.Why), next.Since.UTC().Truncate(time.Millisecond)
	if err := hwm.CheckSuccession(m.role, next); err != nil {
		return err
	}
	for _, c := range ceilings {
		if err := m.checkCeiling(c); err != nil {
			return err
		}
	}
	if _, err := m.raise(floors); err != nil {
		return err
	}
	for _, c := range ceilings {
		if c.Ceiling == nil {
			delete(m.ceilings, c.Key)
			continue
		}
		m.ceilings[c.Key] = *c.Ceiling
	}
	m.role = next
	return nil
}

func (m *Store) checkCeiling(c hwm.CeilingChange) error {
	if c.Ceiling == nil {
		return nil
	}
	if c.Ceiling.Level < 0 {
		return fmt.Errorf("a ceiling at the negative level %d", c.Ceiling.Level)
	}
	if have, ok := m.ceilings[c.Key]; ok && c.Ceiling.Level > have.Level {
		return hwm.ErrMoved
	}
	for _, key := range hwm.KeysOf(c.Key.Chain, c.Key.PKH) {
		if have := m.marks[key].Mark; have != nil && have.Level > c.Ceiling.Level {
			return hwm.ErrMoved
		}
	}
	return nil
}

// Ceilings is part of signer.Rights.
func (m *Store) Ceilings() map[hwm.CeilingKey]hwm.Ceiling {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.ceilings)
}

// SetCeiling is part of signer.Rights.
func (m *Store) SetCeiling(key hwm.CeilingKey, c hwm.Ceiling) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	have, ok := m.ceilings[key]
	switch {
	case c.Level < 0 || !c.Source.Known():
		return fmt.Errorf("a ceiling at %d, of source %d", c.Level, c.Source)
	case ok && c.Level > have.Level:
		return hwm.ErrMoved
	case ok && have.Source == hwm.SourcePeer:
		c.Source = have.Source
	}
	m.ceilings[key] = c
	return nil
}

// Horizons is part of signer.Rights: every mark of this store waits for its disk.
func (m *Store) Horizons() map[hwm.CeilingKey]int32 { return nil }
