package store

import (
	"fmt"
	"log/slog"

	"highwater/hwm"
	"highwater/internal/tezos"
)

// State is the mark and the ceiling of a chain, key and kind; the error says why neither can be told.
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
		ceiling := c // a copy is made only where there is a ceiling
		st.Ceiling = &ceiling
	}
	return st
}

// Advance moves a mark up to a request, in memory at once and on disk with the next commit: Wait tells when. At or
// below a durable horizon Wait returns at once. Errors wrap hwm.ErrMoved when the mark stands at or above the new
// mark, or a ceiling below; hwm.ErrNoMark without a mark.
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

// readable tells whether a mark could be loaded again. An unreadable mark would stop the signer at its next start,
// and is not written.
func readable(dbKey []byte, mark hwm.Mark) error {
	var key hwm.Key
	if err := key.UnmarshalBinary(dbKey); err != nil {
		return fmt.Errorf("the watermark cannot be stored: %w", err)
	}
	var record [hwm.MarkRecordLen]byte
	if _, err := hwm.DecodeMark(dbKey, key.PKH.Curve, mark.AppendRecord(record[:0], dbKey)); err != nil {
		return fmt.Errorf("the watermark cannot be stored: %w", err)
	}
	return nil
}

// Keep attaches a signature to the mark of its request. Nobody waits: the signature goes along with the next commit.
// A mark that moved on needs the signature no more.
func (db *DB) Keep(key hwm.Key, digest [32]byte, sig tezos.Signature) {
	if err := db.keep(key, digest, sig); err != nil {
		db.unsaid.say(slog.LevelError, "signature not kept", "error", err)
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

// Raise merges rows by maximum, and returns the change of each row once durable. A kept row is durable, too.
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

// Rows lists all marks, in the order shown to people.
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

// Known lists all marks in memory, in the order of Rows, also after a failed commit. Some may be missing on the disk:
// the marks serve as floors for another instance, and nothing here is signed by them.
func (db *DB) Known() []hwm.Row {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.rows()
}
