package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
	"highwater/internal/tezos"
)

// KnownKeys gives all of them.
func (db *DB) KnownKeys() map[tezos.PublicKeyHash]hwm.KnownKey {
	db.mu.Lock()
	defer db.mu.Unlock()
	return maps.Clone(db.keys)
}

// RememberKey keeps a key, durably; nothing is written when nothing is new.
func (db *DB) RememberKey(k hwm.KnownKey) error {
	public, err := tezos.ParsePublicKey(k.PublicKey)
	if err != nil {
		return err
	}
	pkh := public.Hash()
	write, err := putJSON(bucketKeys, pkh.Bytes(), k)
	if err != nil {
		return err
	}
	return db.durably(func() (*batch, error) {
		if db.keys[pkh] == k {
			return db.latest(), nil
		}
		db.keys[pkh] = k
		return db.write(write), nil
	})
}

// seenKey names what a device said of itself: device identity, key, kind (zero: all kinds).
type seenKey struct {
	Device string              `json:"device"`
	PKH    tezos.PublicKeyHash `json:"pkh"`
	Kind   uint8               `json:"kind"`
}

type seenRecord struct {
	seenKey
	hwm.Position
	Signed *signedRecord `json:"signed,omitempty"` // it is no mark of a device's own, but what was signed with the device
}

// Seen is the mark that a device had of itself when it was last seen.
func (db *DB) Seen(device string, pkh tezos.PublicKeyHash, kind tezos.Kind) (hwm.Position, bool) {
	db.mu.Lock()
	defer db.mu.Unlock()
	p, ok := db.seen[seenKey{device, pkh, uint8(kind)}]
	return p, ok
}

// SetSeen remembers a device's own mark, durably, also when it is lower than before: it is a fact about the device.
func (db *DB) SetSeen(device string, pkh tezos.PublicKeyHash, kind tezos.Kind, p hwm.Position) error {
	key := seenKey{device, pkh, uint8(kind)}
	write, err := putJSON(bucketSeen, fmt.Appendf(nil, "%s/%s/%02x", device, pkh, uint8(kind)), seenRecord{key, p, nil})
	if err != nil {
		return err
	}
	return db.durably(func() (*batch, error) {
		if have, known := db.seen[key]; known && have == p {
			return db.latest(), nil
		}
		db.seen[key] = p
		return db.write(write), nil
	})
}

// putJSON makes a write of a sealed JSON record. What has no JSON, or too long a key, is found out here: a failing write would
// poison the store.
func putJSON(bucket, key []byte, value any) (func(*bolt.Tx) error, error) {
	body, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	if len(key) > bolt.MaxKeySize {
		return nil, fmt.Errorf("a name of %d bytes is too long", len(key))
	}
	return func(tx *bolt.Tx) error { return tx.Bucket(bucket).Put(key, hwm.Seal(key, body)) }, nil
}

// JournalEntry is a deliberate act that is kept for good: a change of role, a mark lowered, a ceiling lifted.
type JournalEntry struct {
	At     time.Time `json:"at"`
	Action string    `json:"action"` // activate, standby, fenced, lower, lift
	What   string    `json:"what"`
	Why    string    `json:"why"`
}

// maxJournal bounds the journal; the oldest entries go first.
const maxJournal = 1000

// Journal gives all entries, oldest first.
func (db *DB) Journal() []JournalEntry {
	db.mu.Lock()
	defer db.mu.Unlock()
	return slices.Clone(db.journal)
}

// journaled makes an entry fit to be kept: what has no JSON (a year beyond 9999) would poison the store.
func journaled(e JournalEntry) (JournalEntry, error) {
	e.Why, e.At = hwm.CutWhy(e.Why), e.At.UTC().Truncate(time.Millisecond)
	_, err := json.Marshal(e)
	return e, err
}

// appendJournal returns the write that adds an entry made by journaled. The caller holds db.mu.
func (db *DB) appendJournal(e JournalEntry) func(*bolt.Tx) error {
	db.journal = append(db.journal, e)
	if len(db.journal) > maxJournal {
		db.journal = db.journal[1:]
	}
	return func(tx *bolt.Tx) error {
		bucket := tx.Bucket(bucketJournal)
		seq, err := bucket.NextSequence()
		if err != nil {
			return err
		}
		if seq > maxJournal {
			if err = bucket.Delete(binary.BigEndian.AppendUint64(nil, seq-maxJournal)); err != nil {
				return err
			}
		}
		write, err := putJSON(bucketJournal, binary.BigEndian.AppendUint64(nil, seq), e)
		if err != nil {
			return err
		}
		return write(tx)
	}
}

// Record adds an entry to the journal, durably.
func (db *DB) Record(e JournalEntry) error {
	e, err := journaled(e)
	if err != nil {
		return err
	}
	return db.durably(func() (*batch, error) { return db.write(db.appendJournal(e)), nil })
}

var errNoReason = errors.New("lowering wants a reason: it is kept for good")

// Lower replaces a mark by a lower one. It is the only thing that lowers, it is for an operator at a stopped instance, and it
// is written down with its reason in the same transaction.
func (db *DB) Lower(key hwm.Key, mark hwm.Mark, why string) error {
	if hwm.CutWhy(why) == "" {
		return errNoReason
	}
	mark.Source = hwm.SourceLowered
	if err := readable(newEntry(key, mark).dbKey, mark); err != nil {
		return err
	}
	entry, err := journaled(JournalEntry{At: mark.At, Action: "lower", Why: why})
	if err != nil {
		return err
	}
	return db.durably(func() (*batch, error) {
		e, ok := db.marks[key]
		if !ok {
			return nil, fmt.Errorf("%w: %s", hwm.ErrNoMark, key)
		}
		if !e.mark.Above(mark) {
			return nil, fmt.Errorf("%s is at %s: %s is not lower", key, e.mark.Position, mark.Position)
		}
		entry.What = fmt.Sprintf("%s: from %s to %s", key, e.mark.Position, mark.Position)
		e.mark, e.fresh = mark, false
		db.remember(e)
		db.dropHorizon(hwm.CeilingKey{Chain: key.Chain, PKH: key.PKH}) // or it would be a floor after this run
		db.put(e)
		return db.write(db.appendJournal(entry)), nil
	})
}

// Lift removes a ceiling, with a reason that is kept for good.
func (db *DB) Lift(key hwm.CeilingKey, at time.Time, why string) error {
	if hwm.CutWhy(why) == "" {
		return errNoReason
	}
	entry, err := journaled(JournalEntry{At: at, Action: "lift", Why: why})
	if err != nil {
		return err
	}
	dbKey, err := key.MarshalBinary()
	if err != nil {
		return err
	}
	return db.durably(func() (*batch, error) {
		have, ok := db.ceilings[key]
		if !ok {
			return nil, fmt.Errorf("%s has no ceiling on %s", key.PKH, key.Chain)
		}
		delete(db.ceilings, key)
		db.write(func(tx *bolt.Tx) error { return tx.Bucket(bucketCeilings).Delete(dbKey) })
		entry.What = fmt.Sprintf("ceiling %d of %s", have.Level, key.PKH)
		return db.write(db.appendJournal(entry)), nil
	})
}
