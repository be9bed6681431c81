// Package operate holds what an operator asks of one instance: its use cases over signer, store and failover, without any transport.
package operate

import (
	"context"
	"encoding/json"

	"highwater/failover"
	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/hwm/bundle"
	"highwater/internal/tezos"
	"highwater/signer"
)

// Admin is all that an operator can ask of an instance, noun by noun: of the daemon through its socket (api.Client), or of the files
// themselves while no daemon runs (Local). Errors carry a reason (ReasonOf).
type Admin struct {
	Monitor
	Alarms
	Keyring
	Watermarks
	Roles
	Devices
	Failover
}

// Monitor tells how the instance does.
type Monitor interface {
	Status(ctx context.Context) (Status, error)
}

// Alarms are what an operator should look into.
type Alarms interface {
	// Acknowledge ends the alarms that the operator was shown, and returns those that still stand.
	Acknowledge(ctx context.Context, r AcknowledgeRequest) ([]signer.Alarm, error)
}

// Keyring is about keys.
type Keyring interface {
	Keys(ctx context.Context) ([]KeyRow, error)
	// Prove gives the proof of possession of a tz4 key.
	Prove(ctx context.Context, pkh tezos.PublicKeyHash) (Proof, error)
}

// Watermarks is about marks and ceilings. No method moves a mark down or a ceiling up.
type Watermarks interface {
	Marks(ctx context.Context) ([]MarkRow, error)
	Raise(ctx context.Context, r RaiseRequest) ([]ChangeRow, error)
	SetCeiling(ctx context.Context, r CeilingRequest) ([]CeilingRow, error)
	// Bundle is what this instance knows now, signed by its key. What is in it is durable.
	Bundle(ctx context.Context) (bundle.Bundle, error)
	// Journal gives the deliberate acts that the watermark file keeps, with their reasons, oldest first: changes of role, marks that were
	// lowered, ceilings that were lifted.
	Journal(ctx context.Context) ([]hwm.JournalEntry, error)
}

// Roles is about whether the instance signs.
type Roles interface {
	Activate(ctx context.Context, r ActivateRequest) (Role, error)
	Standby(ctx context.Context, r StandbyRequest) (Role, error)
}

// Devices is about the devices that hold the keys.
type Devices interface {
	// RaiseDevices compares the devices' own marks with the host's, and raises those that a device can raise unattended.
	RaiseDevices(ctx context.Context) ([]signer.DeviceMarks, error)
	DeviceCall(ctx context.Context, c DeviceCall, show func(string)) (json.RawMessage, error)
}

// Failover is about the other instance.
type Failover interface {
	Pair(ctx context.Context) (failover.View, error)
	SetPeer(ctx context.Context, r PeerRequest) (failover.View, error)
	// Moment tells whether now is a good moment for a pause of signing, or a handover.
	Moment(ctx context.Context, w failover.Window) (failover.Moment, error)
	Handover(ctx context.Context, r failover.HandoverRequest) (HandoverAnswer, error)
	Release(ctx context.Context, r ReleaseRequest) (wire.Certificate, error)
	Accept(ctx context.Context, r AcceptRequest) (Role, error)
	Takeover(ctx context.Context, r failover.TakeoverRequest) (TakeoverAnswer, error)
}
