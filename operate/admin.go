// Package operate holds the use cases of an operator of one instance, over signer, store and failover, without any
// transport.
package operate

import (
	"context"
	"encoding/json"

	"highwater/failover"
	"highwater/failover/moment"
	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/hwm/bundle"
	"highwater/internal/history"
	"highwater/internal/tezos"
	"highwater/signer"
)

// Admin holds all use cases of one instance, noun by noun. The daemon answers through its socket (api.Client); while no
// daemon runs, the command works on the files (Local). Each error has a reason (ReasonOf).
type Admin struct {
	Monitor
	Alarms
	Keyring
	Watermarks
	Roles
	Devices
	Failover
}

// Monitor tells the state of the instance.
type Monitor interface {
	Status(ctx context.Context) (Status, error)
	// History gives the latest levels of each key and kind in this run of the daemon: the first series by key and kind, at
	// most a number of them (0: all), and the number of series left out.
	History(ctx context.Context, most int) (all []history.Series, left int, err error)
}

// Alarms call for the attention of an operator.
type Alarms interface {
	// Acknowledge ends the alarms of a request, and returns the alarms left standing.
	Acknowledge(ctx context.Context, r AcknowledgeRequest) ([]signer.Alarm, error)
}

// Keyring holds the use cases of keys.
type Keyring interface {
	Keys(ctx context.Context) ([]KeyRow, error)
	// Prove gives the proof of possession of a tz4 key.
	Prove(ctx context.Context, pkh tezos.PublicKeyHash) (Proof, error)
}

// Watermarks holds the use cases of marks and ceilings. No method moves a mark down or a ceiling up.
type Watermarks interface {
	Marks(ctx context.Context) ([]MarkRow, error)
	Raise(ctx context.Context, r RaiseRequest) ([]ChangeRow, error)
	SetCeiling(ctx context.Context, r CeilingRequest) ([]CeilingRow, error)
	// Bundle gives the present knowledge of this instance, signed by the key of the instance. All content of a bundle
	// is durable.
	Bundle(ctx context.Context) (bundle.Bundle, error)
	// Journal gives the deliberate acts in the watermark file with their reasons, oldest first: changes of role,
	// lowered marks, lifted ceilings.
	Journal(ctx context.Context) ([]hwm.JournalEntry, error)
}

// Roles begins and ends signing.
type Roles interface {
	Activate(ctx context.Context, r ActivateRequest) (Role, error)
	Standby(ctx context.Context, r StandbyRequest) (Role, error)
}

// Devices holds the use cases of the devices with the keys.
type Devices interface {
	// RaiseDevices compares the devices' own marks with the host's, and raises each mark below the host's where the
	// device needs no person.
	RaiseDevices(ctx context.Context) ([]signer.DeviceMarks, error)
	DeviceCall(ctx context.Context, c DeviceCall, show func(string)) (json.RawMessage, error)
}

// Failover holds the use cases of a pair of instances.
type Failover interface {
	Pair(ctx context.Context) (failover.View, error)
	SetPeer(ctx context.Context, r PeerRequest) (failover.View, error)
	// Moment tells whether now is a good moment for a pause of signing, or for a handover.
	Moment(ctx context.Context, w moment.Window) (moment.Moment, error)
	Handover(ctx context.Context, r failover.HandoverRequest) (HandoverAnswer, error)
	Release(ctx context.Context, r ReleaseRequest) (wire.Certificate, error)
	Accept(ctx context.Context, r AcceptRequest) (Role, error)
	Takeover(ctx context.Context, r failover.TakeoverRequest) (TakeoverAnswer, error)
}
