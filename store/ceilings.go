package store

import (
	"fmt"
	"maps"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/store/layout"
)

// Ceilings gives all ceilings.
func (db *DB) Ceilings() map[hwm.CeilingKey]hwm.Ceiling {
	db.mu.Lock()
	defer db.mu.Unlock()
	return maps.Clone(db.ceilings)
}

// SetCeiling sets or lowers a ceiling, durably. Lift raises or removes a ceiling. A lowered ceiling of the pair stays
// of the pair: the right to sign above was given away.
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

// checkCeilings finds a wrong change before any change is made. The caller holds db.mu.
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
		panic(err) // cannot fail
	}
	if c.Ceiling == nil {
		delete(db.ceilings, c.Key)
		return db.write(func(tx *bolt.Tx) error { return tx.Bucket(layout.BucketCeilings).Delete(dbKey) })
	}
	db.ceilings[c.Key] = *c.Ceiling
	record := c.Ceiling.Encode(dbKey)
	return db.write(func(tx *bolt.Tx) error { return tx.Bucket(layout.BucketCeilings).Put(dbKey, record) })
}

// keepable tells whether a ceiling could be loaded again.
func keepable(key hwm.CeilingKey, c hwm.Ceiling) error {
	dbKey, err := key.MarshalBinary()
	if err != nil {
		return err
	}
	var back hwm.CeilingKey
	if err := back.UnmarshalBinary(dbKey); err != nil {
		return fmt.Errorf("the ceiling cannot be stored: %w", err)
	}
	if _, err := hwm.DecodeCeiling(dbKey, c.Encode(dbKey)); err != nil {
		return fmt.Errorf("the ceiling cannot be stored: %w", err)
	}
	return nil
}

// RisenError says that a ceiling would rise by being set. The error wraps hwm.ErrMoved.
type RisenError struct{ Have, Want int32 }

func (e *RisenError) Error() string {
	return fmt.Sprintf("the ceiling is at %d, and is not raised to %d: set only lowers a ceiling", e.Have, e.Want)
}

// ReasonWord is the reason for programs.
func (e *RisenError) ReasonWord() string { return "ceiling_not_raised" }

// HintText is the advice.
func (e *RisenError) HintText() string {
	return "lift the ceiling first, at a stopped instance: highwater hwm ceiling --lift"
}

// Unwrap makes errors.Is(err, hwm.ErrMoved) true.
func (e *RisenError) Unwrap() error { return hwm.ErrMoved }

func (db *DB) loadCeilings(tx *bolt.Tx) error {
	return tx.Bucket(layout.BucketCeilings).ForEach(func(k, v []byte) error {
		var key hwm.CeilingKey
		if err := key.UnmarshalBinary(k); err != nil {
			return fmt.Errorf("ceiling %x: %w", k, err)
		}
		c, err := hwm.DecodeCeiling(k, v)
		if err != nil {
			return fmt.Errorf("ceiling of %s: %w", key.PKH, err)
		}
		db.ceilings[key] = c
		return nil
	})
}
