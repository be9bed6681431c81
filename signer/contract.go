package signer

import (
	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/signer/keyring"
)

// Store keeps everything that must outlive the process. Implementations are safe for concurrent use by any number of
// goroutines, and pass the suite of store/storetest.
//
// Absence: a key without a mark is a State whose Mark is nil, never a mark at zero. Unreadable content is an error.
// Durability: a change survives a power cut once its method, or Pending.Wait, has returned without an error. After a
// failed write every method with an error fails, until the store is opened anew.
type Store interface {
	Marks
	Rights
	KnownKeys
	Memory
}

// Marks are the watermarks, by chain, key and kind.
//
// Horizon: a store may keep a level per key and chain on disk; after an end that was not in order a restart signs
// nothing at or below the horizon, but for the marks that are known exactly. A signature at or below a horizon waits
// for nothing: the record on disk forbids another one.
type Marks interface {
	// State is the mark and the ceiling of a chain, key and kind, as of now.
	State(key hwm.Key) (hwm.State, error)
	// Rows are all marks.
	Rows() ([]hwm.Row, error)
	// Advance moves a mark up, as a compare-and-set. Errors: hwm.ErrMoved when the mark stands at or above the new mark,
	// or the ceiling below; hwm.ErrNoMark without a mark. Every later State shows the new mark, durable or not. Wait
	// returns nil once a record on disk forbids another signature there (the mark, or a horizon), and an error where the
	// record on disk turned out to forbid the advance.
	Advance(key hwm.Key, mark hwm.Mark) (hwm.Pending, error)
	// Keep attaches a signature to the mark with this digest. Keep does not wait; a crash may lose the signature.
	Keep(key hwm.Key, digest [32]byte, sig tezos.Signature)
	// Raise merges rows by maximum, and makes missing marks. The rows are durable on return.
	Raise(rows []hwm.Row) ([]hwm.Change, error)
	// Healthy is nil while marks can be made durable.
	Healthy() error
}

// Rights say whether this instance may sign, and up to which level.
type Rights interface {
	// Instance is the identity of this state directory.
	Instance() hwm.InstanceID
	// Role is the durable role.
	Role() hwm.RoleRecord
	// SetRole changes the role together with floors and ceilings, in one write: all or nothing. The write holds all exact
	// marks, and leaves no horizon. Errors wrap hwm.ErrEpoch, or hwm.ErrMoved for a ceiling that would rise, or lie below
	// a mark.
	SetRole(next hwm.RoleRecord, floors []hwm.Row, ceilings ...hwm.CeilingChange) error
	// Ceilings are the levels above which keys sign nothing. A key without a ceiling has no entry.
	Ceilings() map[hwm.CeilingKey]hwm.Ceiling
	// SetCeiling sets or lowers a ceiling, durably; hwm.ErrMoved when the ceiling would rise. A ceiling from the
	// peer keeps its source.
	SetCeiling(key hwm.CeilingKey, c hwm.Ceiling) error
	// Horizons are the levels that are on disk now; a key without a horizon waits for the disk.
	Horizons() map[hwm.CeilingKey]int32
}

// KnownKeys keeps the keys that devices offered once.
type KnownKeys = keyring.Store

// Memory is the knowledge of devices, and the alarms.
type Memory interface {
	// Seen is a device's own mark as of its last connection; SetSeen remembers the mark, durably. Kind zero: a mark for
	// all kinds.
	Seen(device string, pkh tezos.PublicKeyHash, kind tezos.Kind) (hwm.Position, bool)
	SetSeen(device string, pkh tezos.PublicKeyHash, kind tezos.Kind, p hwm.Position) error
	// EachSeen gives all that Seen would give, in no order. The store waits meanwhile.
	EachSeen(each func(device string, pkh tezos.PublicKeyHash, kind tezos.Kind, p hwm.Position))
	// SignedWith is how far each device signed, as noted last; NoteSigned notes rows without waiting. A row is durable no
	// later than any signature that Keep is given after the row.
	SignedWith() map[hwm.SignedBy]hwm.SignedUpTo
	NoteSigned(rows map[hwm.SignedBy]hwm.SignedUpTo)
	// Alarms are the alarms that stood last; SetAlarms replaces the alarms, durably, by the last hwm.MaxAlarms of the new
	// list.
	Alarms() []hwm.Alarm
	SetAlarms(alarms []hwm.Alarm) error
}

// Device is a connected, or absent, device: see keyring.Device.
type Device = keyring.Device

// KeyPolicy says how a key may be used.
type KeyPolicy = keyring.Policy

// Right says between which positions this instance may sign now, where the right to sign is shared with other
// instances. Implementations are safe for concurrent use, and never wait.
type Right interface {
	// May gives the position above which a key signs, and the level up to which; ok false: nothing may be signed.
	May(pkh tezos.PublicKeyHash, kind tezos.Kind) (floor hwm.Position, limit int32, ok bool)
	// Wanted is told that a request waits above the limit.
	Wanted()
	// Why says why the limit does not rise; empty: no reason is known.
	Why() string
}
