package store

import (
	"fmt"
	"maps"
	"time"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
	"highwater/internal/tezos"
)

// State is what is known of a key, kind and chain, or why it cannot be told.
func (db *DB) State(key hwm.Key) (hwm.State, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.usable(); err != nil {
		return hwm.State{}, err
	}
	return db.state(key), nil
}

func (db *DB) state(key hwm.Key) hwm.State {
	var st hwm.State
	if e, ok := db.marks[key]; ok {
		mark := e.mark
		st.Mark, st.Fresh = &mark, e.fresh
	}
	if c, ok := db.ceilings[hwm.CeilingKey{Chain: key.Chain, PKH: key.PKH}]; ok {
		st.Ceiling = &c
	}
	return st
}

// Advance moves a mark up to where a request is, in memory at once and on disk with the next commit: Wait tells when. At or below a durable
// horizon there is nothing to wait for. It fails
// with hwm.ErrMoved when the mark is not below mark any more or a ceiling is, and with hwm.ErrNoMark when there is none.
//
// Invariant: no mark ever moves down, and none above its ceiling.
func (db *DB) Advance(key hwm.Key, mark hwm.Mark) (hwm.Pending, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.usable(); err != nil {
		return nil, err
	}
	e, ok := db.marks[key]
	if !ok {
		return nil, fmt.Errorf("%w: %s", hwm.ErrNoMark, key)
	}
	if err := readable(e.dbKey, mark); err != nil {
		return nil, err
	}
	if !mark.Above(e.mark) {
		return nil, fmt.Errorf("%w: %s is at %s", hwm.ErrMoved, key, e.mark.Position)
	}
	if c, ok := db.ceilings[hwm.CeilingKey{Chain: key.Chain, PKH: key.PKH}]; ok && mark.Level > c.Level {
		return nil, fmt.Errorf("%w: %s has a ceiling at %d", hwm.ErrMoved, key, c.Level)
	}
	e.mark, e.fresh = mark, true
	return db.cover(e, db.remember(e)), nil
}

// readable tells whether a mark could be loaded again: what cannot be would stop the signer at its next start, so it is not written.
func readable(dbKey []byte, mark hwm.Mark) error {
	var key hwm.Key
	if err := key.UnmarshalBinary(dbKey); err != nil {
		return fmt.Errorf("such a watermark cannot be kept: %w", err)
	}
	if _, err := hwm.DecodeMark(dbKey, key.PKH.Curve, mark.Encode(dbKey)); err != nil {
		return fmt.Errorf("such a watermark cannot be kept: %w", err)
	}
	return nil
}

// Keep attaches a signature to the mark that a request made. Nobody waits for it: it goes along with the next commit. A mark
// that moved on meanwhile needs it no more.
func (db *DB) Keep(key hwm.Key, digest [32]byte, sig tezos.Signature) {
	if err := db.keep(key, digest, sig); err != nil {
		db.log.Error("signature not kept", "error", err)
	}
}

func (db *DB) keep(key hwm.Key, digest [32]byte, sig tezos.Signature) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	e, ok := db.marks[key]
	if !ok || !e.mark.HasDigest || e.mark.Digest != digest || !e.mark.Signature.IsZero() {
		return nil
	}
	signed := e.mark
	signed.Signature = sig
	if err := readable(e.dbKey, signed); err != nil {
		return err
	}
	e.mark = signed
	db.remember(e)
	db.later(e)
	return nil
}

// Raise merges rows by maximum and returns, once durable, what happened to each. A row that was kept is durable too.
func (db *DB) Raise(rows []hwm.Row) ([]hwm.Change, error) {
	db.mu.Lock()
	changes, err := db.raise(rows)
	if err != nil {
		db.mu.Unlock()
		return nil, err
	}
	b := db.latest()
	db.mu.Unlock()
	return changes, b.Wait()
}

// raise moves marks up in memory and into the next batch. The caller holds db.mu.
func (db *DB) raise(rows []hwm.Row) ([]hwm.Change, error) {
	if err := db.usable(); err != nil {
		return nil, err
	}
	for _, r := range rows {
		if r.Level < 0 || r.Round < 0 {
			return nil, fmt.Errorf("%s: a negative level or round (%d, %d)", r.Key, r.Level, r.Round)
		}
		if err := readable(newEntry(r.Key, r.Mark).dbKey, r.Mark); err != nil {
			return nil, err
		}
	}
	changes := make([]hwm.Change, 0, len(rows))
	for _, r := range rows {
		c := hwm.Merge(r.Key, db.state(r.Key).Mark, r.Mark)
		changes = append(changes, c)
		if !c.Raised {
			continue
		}
		e, ok := db.marks[r.Key]
		if !ok {
			e = newEntry(r.Key, r.Mark)
			db.marks[r.Key] = e
		}
		e.mark, e.fresh = r.Mark, false
		db.remember(e)
		db.put(e)
	}
	return changes, nil
}

// Rows lists all marks, in the order in which they are shown.
func (db *DB) Rows() ([]hwm.Row, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.usable(); err != nil {
		return nil, err
	}
	return db.rows(), nil
}

// rows are all marks in memory. The caller holds db.mu.
func (db *DB) rows() []hwm.Row {
	rows := make([]hwm.Row, 0, len(db.marks))
	for key, e := range db.marks {
		rows = append(rows, hwm.Row{Key: key, Mark: e.mark})
	}
	hwm.SortRows(rows)
	return rows
}

// Ceilings gives all ceilings.
func (db *DB) Ceilings() map[hwm.CeilingKey]hwm.Ceiling {
	db.mu.Lock()
	defer db.mu.Unlock()
	return maps.Clone(db.ceilings)
}

// SetCeiling sets or lowers a ceiling, durably. Raising or lifting one is Lift's. One of the pair's stays one when it is lowered: it says that
// the right to sign was given away above it.
func (db *DB) SetCeiling(key hwm.CeilingKey, c hwm.Ceiling) error {
	if c.Level < 0 {
		return fmt.Errorf("a ceiling at the negative level %d", c.Level)
	}
	if err := keepable(key, c); err != nil {
		return err
	}
	return db.durably(func() (*batch, error) {
		have, ok := db.ceilings[key]
		if ok && c.Level > have.Level {
			return nil, &RisenError{have.Level, c.Level}
		}
		if ok && have.Source == hwm.SourcePeer {
			c.Source = have.Source
		}
		return db.changeCeiling(hwm.CeilingChange{Key: key, Ceiling: &c}), nil
	})
}

// Role is the durable role.
func (db *DB) Role() hwm.RoleRecord {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.role
}

// SetRole changes the role, and with it raises floors and sets or lifts ceilings, in one transaction, which also holds all exact marks and takes the
// horizons back to them. The role in memory changes
// when it is durable; floors and ceilings bind at once. Errors wrap hwm.ErrEpoch, or hwm.ErrMoved for a ceiling that would rise or
// lie below a mark: then nothing is changed.
func (db *DB) SetRole(next hwm.RoleRecord, floors []hwm.Row, ceilings ...hwm.CeilingChange) error {
	db.roleMu.Lock()
	defer db.roleMu.Unlock()
	next.Why, next.Since = hwm.CutWhy(next.Why), next.Since.UTC().Truncate(time.Millisecond)
	if err := hwm.CheckSuccession(db.Role(), next); err != nil {
		return err
	}
	what := fmt.Sprintf("epoch %d, %d floors", next.Epoch, len(floors))
	if len(ceilings) > 0 {
		what += fmt.Sprintf(", %d ceilings", len(ceilings))
	}
	entry, err := journaled(JournalEntry{At: next.Since, Action: next.Role.String(), What: what, Why: next.Why})
	if err != nil {
		return err
	}
	db.mu.Lock()
	if err := db.checkCeilings(ceilings); err != nil {
		db.mu.Unlock()
		return err
	}
	if _, err := db.raise(floors); err != nil {
		db.mu.Unlock()
		return err
	}
	for _, c := range ceilings {
		db.changeCeiling(c)
	}
	db.takeBack()
	db.write(func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Put(metaRole, next.Encode(metaRole)) })
	b := db.write(db.appendJournal(entry))
	db.mu.Unlock()
	if err := b.Wait(); err != nil {
		return err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	db.role = next
	return nil
}

// checkCeilings finds what is wrong with changes before any of them is made. The caller holds db.mu.
func (db *DB) checkCeilings(changes []hwm.CeilingChange) error {
	for _, c := range changes {
		if c.Ceiling == nil {
			continue
		}
		if err := keepable(c.Key, *c.Ceiling); err != nil {
			return err
		}
		if have, ok := db.ceilings[c.Key]; ok && c.Ceiling.Level > have.Level {
			return &RisenError{have.Level, c.Ceiling.Level}
		}
		for _, kind := range tezos.Kinds {
			e, ok := db.marks[hwm.Key{Chain: c.Key.Chain, PKH: c.Key.PKH, Kind: kind}]
			if ok && e.mark.Level > c.Ceiling.Level {
				return fmt.Errorf("%w: %s is at %s, above a ceiling at %d", hwm.ErrMoved, e.key, e.mark.Position, c.Ceiling.Level)
			}
		}
	}
	return nil
}

// changeCeiling makes a checked change, in memory and in the next transaction. The caller holds db.mu.
func (db *DB) changeCeiling(c hwm.CeilingChange) *batch {
	dbKey, err := c.Key.MarshalBinary()
	if err != nil {
		panic(err) // it has no way to fail
	}
	if c.Ceiling == nil {
		delete(db.ceilings, c.Key)
		return db.write(func(tx *bolt.Tx) error { return tx.Bucket(bucketCeilings).Delete(dbKey) })
	}
	db.ceilings[c.Key] = *c.Ceiling
	record := c.Ceiling.Encode(dbKey)
	return db.write(func(tx *bolt.Tx) error { return tx.Bucket(bucketCeilings).Put(dbKey, record) })
}

// keepable tells whether a ceiling could be loaded again.
func keepable(key hwm.CeilingKey, c hwm.Ceiling) error {
	dbKey, err := key.MarshalBinary()
	if err != nil {
		return err
	}
	var back hwm.CeilingKey
	if err := back.UnmarshalBinary(dbKey); err != nil {
		return fmt.Errorf("such a ceiling cannot be kept: %w", err)
	}
	if _, err := hwm.DecodeCeiling(dbKey, c.Encode(dbKey)); err != nil {
		return fmt.Errorf("such a ceiling cannot be kept: %w", err)
	}
	return nil
}

// RisenError says that a ceiling was to be raised by setting it. It is an hwm.ErrMoved.
type RisenError struct{ Have, Want int32 }

func (e *RisenError) Error() string {
	return fmt.Sprintf("the ceiling is at %d: it is not raised to %d by setting it", e.Have, e.Want)
}

// HintText is what to do.
func (e *RisenError) HintText() string {
	return "lift it first, at a stopped instance: highwater hwm ceiling --lift"
}

// Unwrap makes errors.Is(err, hwm.ErrMoved) true.
func (e *RisenError) Unwrap() error { return hwm.ErrMoved }
