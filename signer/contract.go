package signer

import (
	"context"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
)

// Store keeps marks, and what goes with them. Implementations are safe for concurrent use by any number of goroutines, and pass
// the suite of store/storetest.
//
// Horizon: a store may keep a level per key and chain on disk at or below which a restart after an end that was not in order signs nothing that is
// not known exactly. A signature at or below it waits for nothing: a record on disk forbids its repetition already.
//
// Absence: a key without a mark is a State whose Mark is nil, never a mark at zero. Anything that cannot be read is an error.
// Durability: what a method (or Pending.Wait) says is done survives a power cut from then on. After a failed write every method
// that can fails until the store is opened anew.
type Store interface {
	// State is the mark and the ceiling of a key, kind and chain, as of now.
	State(key hwm.Key) (hwm.State, error)
	// Advance moves a mark up, as a compare-and-set: hwm.ErrMoved when the mark is not below any more or a ceiling is,
	// hwm.ErrNoMark when there is none. Every State after it shows the new mark, whether or not it is durable yet; Wait tells
	// that a record on disk forbids another signature there (the mark, or a horizon), or that the compare-and-set failed where the truth is
	// elsewhere.
	Advance(key hwm.Key, mark hwm.Mark) (hwm.Pending, error)
	// Keep attaches a signature to the mark with this digest. It does not wait; a crash may lose it.
	Keep(key hwm.Key, digest [32]byte, sig tezos.Signature)
	// Raise merges by maximum, and returns when durable. It makes marks that do not exist.
	Raise(rows []hwm.Row) ([]hwm.Change, error)

	Registry
}

// Registry is the part of a store that is not marks: role, identity, ceilings, keys.
type Registry interface {
	Rows() ([]hwm.Row, error)
	Ceilings() map[hwm.CeilingKey]hwm.Ceiling
	// Horizons are those that are on disk now; a key without one waits for the disk.
	Horizons() map[hwm.CeilingKey]int32
	// SetCeiling sets or lowers a ceiling, durably; hwm.ErrMoved when it would rise. One whose source is the peer keeps that source.
	SetCeiling(key hwm.CeilingKey, c hwm.Ceiling) error
	// Role is the durable role; SetRole changes it together with floors and ceilings, in one write: all of it or nothing. All exact marks are in that
	// write, and no horizon is left after it. Errors
	// wrap hwm.ErrEpoch, or hwm.ErrMoved for a ceiling that would rise, or lie below a mark.
	Role() hwm.RoleRecord
	SetRole(next hwm.RoleRecord, floors []hwm.Row, ceilings ...hwm.CeilingChange) error
	Instance() hwm.InstanceID
	// Healthy is nil while marks can be made durable.
	Healthy() error
	// KnownKeys are the keys that devices offered once; RememberKey adds one, durably.
	KnownKeys() map[tezos.PublicKeyHash]hwm.KnownKey
	RememberKey(k hwm.KnownKey) error
	// Seen is what a device said of its own marks when it was last connected; SetSeen remembers it, durably.
	Seen(device string, pkh tezos.PublicKeyHash, kind tezos.Kind) (hwm.Position, bool)
	SetSeen(device string, pkh tezos.PublicKeyHash, kind tezos.Kind, p hwm.Position) error
	// SignedWith is what was signed with each device, as noted last; NoteSigned notes it without waiting. It is durable no later than
	// any signature that Keep is given after it.
	SignedWith() map[hwm.SignedBy]hwm.SignedUpTo
	NoteSigned(rows map[hwm.SignedBy]hwm.SignedUpTo)
	// Alarms are those that stood last; SetAlarms keeps these instead, durably: the last hwm.MaxAlarms of them.
	Alarms() []hwm.Alarm
	SetAlarms(alarms []hwm.Alarm) error
}

// Device is one connected, or absent, device. Its driver runs elsewhere.
type Device interface {
	Name() string
	Status() device.Status
	// Changed is closed at the next change of Status or Keys; take it before reading them.
	Changed() <-chan struct{}
	// Keys is what the device held when it was last ready. It is not to be changed: it may be shared.
	Keys() []device.Key
	// Turn waits for the device to be connected and free. When ctx ends first the error is a *device.Error.
	Turn(ctx context.Context) (device.Turn, error)
}
