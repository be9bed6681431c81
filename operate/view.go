package operate

import (
	"strconv"
	"time"

	"highwater/failover"
	"highwater/hwm"
	"highwater/internal/audit"
	"highwater/internal/certs"
	"highwater/internal/device"
	"highwater/internal/early"
	"highwater/internal/loghead"
	"highwater/internal/tezos"
	"highwater/register"
	"highwater/signer"
)

// Role is the durable role as shown.
type Role struct {
	Role  hwm.Role  `json:"role"`
	Epoch uint64    `json:"epoch"`
	Owner string    `json:"owner"` // hex of the owner's public key
	Mine  bool      `json:"mine"`  // this instance is the owner
	Since time.Time `json:"since"`
	Why   string    `json:"why"`
}

// StoreOK is the state of a store without a failure.
const StoreOK = "ok"

// Status is the whole state of an instance.
type Status struct {
	Version  string   `json:"version"`
	Running  bool     `json:"running"` // a daemon answered
	Signing  bool     `json:"signing"` // requests are let in now
	Name     string   `json:"name,omitempty"`
	Instance string   `json:"instance"`
	Chain    string   `json:"chain"`
	Network  string   `json:"network"`        // the name of a known chain, else the chain id
	Head     *Head    `json:"head,omitempty"` // the newest block of the node; null where no node answered
	Role     Role     `json:"role"`
	Store    string   `json:"store"` // StoreOK, or the failure
	Ready    bool     `json:"ready"`
	NotReady []string `json:"not_ready,omitempty"` // the reasons against readiness
	Notes    []string `json:"notes,omitempty"`     // worth knowing, and no reason against readiness
	// Ahead are the keys kept by a mark or a ceiling from signing the level after the head of the node.
	Ahead []Ahead `json:"ahead,omitempty"`
	// Alarms call for the attention of an operator. No alarm keeps the instance from signing.
	Alarms []signer.Alarm `json:"alarms"`
	// Warnings are troubles that grow. Each ends by itself, and none keeps the instance from signing.
	Warnings []early.Warning `json:"warnings"`
	Devices  []DeviceRow     `json:"devices"`
	Keys     []KeyRow        `json:"keys"`
	Marks    []MarkRow       `json:"marks"`
	// LastAsked is the time of the last request for a signature in this process, signed or not; null before the first
	// request.
	LastAsked *time.Time `json:"last_asked,omitempty"`
	// LastRun tells how the previous run ended; null where unknown.
	LastRun *LastRun `json:"last_run,omitempty"`
	// Certificates are the TLS certificates in use, with their ends.
	Certificates []certs.Row `json:"certificates,omitempty"`
	// Audit is the end of the audit log; null without one.
	Audit *audit.State `json:"audit,omitempty"`
	// Rights are the coming rights of the keys; null without a node.
	Rights *Rights `json:"rights,omitempty"`
	// Guard is the state of the guard.
	Guard Guard `json:"guard"`
	// Pair tells which of the two instances may sign, and what to do; null where unknown.
	Pair *failover.View `json:"pair,omitempty"`
	// Register tells who may sign, where the right is shared through a register; null where it is not.
	Register *register.View `json:"register,omitempty"`
}

// Head is the newest block of the node.
type Head struct {
	Level int32     `json:"level"`
	At    time.Time `json:"at"`
}

// AllNotes are the notes of the instance and of its ready devices.
func (s Status) AllNotes() []string {
	out := append([]string{}, s.Notes...)
	for _, d := range s.Devices {
		if note := d.Note(); note != "" {
			out = append(out, "device "+d.Name+": "+note)
		}
	}
	return out
}

// Ahead is a key unable to sign the level after the head.
type Ahead struct {
	PKH  tezos.PublicKeyHash `json:"pkh"`
	From int32               `json:"from"` // the first level to be signed; zero: no level, the ceiling is below the chain
	Far  bool                `json:"far"`  // no margin reaches so far
	Text string              `json:"text"`
}

// DeviceRow is a device.
type DeviceRow struct {
	Name string `json:"name"`
	device.Status
	Keys int `json:"keys"`
}

// KeyRow is a key.
type KeyRow struct {
	PKH       tezos.PublicKeyHash `json:"pkh"`
	PublicKey string              `json:"public_key"`
	Curve     string              `json:"curve"`
	Alias     string              `json:"alias"`
	Device    string              `json:"device"` // the device to be asked first
	Health    string              `json:"health"` // of the key on its devices: ready, or the fault
	Advice    string              `json:"advice,omitempty"`
	Spares    []string            `json:"spares,omitempty"`
	Allow     []tezos.Kind        `json:"allow"`
	New       bool                `json:"new,omitempty"`       // the key has no mark, and no known signature
	Faults    []signer.KeyFault   `json:"faults,omitempty"`    // of the key here, without the instance's store and role
	NoSpares  []signer.KeyFault   `json:"no_spares,omitempty"` // devices meant for the key, and without the key
}

// Unable is the first fault between this machine and its devices; nil: with the right to sign, the key can sign here.
func (k KeyRow) Unable() *signer.KeyFault {
	for i, f := range k.Faults {
		if f.OfDevice() {
			return &k.Faults[i]
		}
	}
	return nil
}

// MarkRow is a mark, or (with Level null) the lack of one.
type MarkRow struct {
	Chain     tezos.ChainID       `json:"chain"`
	PKH       tezos.PublicKeyHash `json:"pkh"`
	Alias     string              `json:"alias"`
	Kind      tezos.Kind          `json:"kind"`
	Level     *int32              `json:"level"`
	Round     *int32              `json:"round"`
	Horizon   *int32              `json:"horizon"` // up to the horizon the key's signatures wait for no disk; null: none
	Ceiling   *int32              `json:"ceiling"`
	Signed    bool                `json:"signed"` // a request made the mark, and the signature is kept
	Source    string              `json:"source"`
	UpdatedAt *time.Time          `json:"updated_at"`
}

// LevelText is the level for people: "none" without a mark.
func (m MarkRow) LevelText() string { return numberOr(m.Level, "none") }

// RoundText is the round for people: "any" for a floor.
func (m MarkRow) RoundText() string {
	if m.Round != nil && *m.Round == hwm.MaxRound {
		return "any"
	}
	return numberOr(m.Round, "-")
}

// HorizonText is the horizon for people.
func (m MarkRow) HorizonText() string { return numberOr(m.Horizon, "-") }

// CeilingText is the ceiling for people.
func (m MarkRow) CeilingText() string { return numberOr(m.Ceiling, "-") }

func numberOr(n *int32, none string) string {
	if n == nil {
		return none
	}
	return strconv.Itoa(int(*n))
}

// Proof is a verified proof of possession of a tz4 key.
type Proof struct {
	PKH       tezos.PublicKeyHash `json:"pkh"`
	PublicKey string              `json:"public_key"`
	Proof     tezos.Signature     `json:"proof"`
}

// RaiseRequest raises marks to a floor.
type RaiseRequest struct {
	PKHs  []tezos.PublicKeyHash `json:"pkhs"`  // empty: all known keys
	Kinds []tezos.Kind          `json:"kinds"` // empty: all kinds a key may sign
	Level int32                 `json:"level"`
	Round *int32                `json:"round"` // nil: any round of the level is below
	// Far allows a level far above the highest known.
	Far bool `json:"far"`
	// DryRun shows the change of each mark, and changes nothing.
	DryRun bool `json:"dry_run,omitempty"`
	// Rows, when given, take the place of the fields above (import); the source of their marks is "import".
	Rows []hwm.ImportRow `json:"rows,omitempty"`
	// Bundles are the verified bundles of the rows, with the heads of their writers' audit logs.
	Bundles []BundleHead `json:"bundles,omitempty"`
}

// BundleHead is the head of an audit log in a bundle.
type BundleHead struct {
	Instance hwm.InstanceID `json:"instance"` // the bundle's writer
	Head     loghead.Head   `json:"head"`
}

// ChangeRow is the change of a mark.
type ChangeRow struct {
	PKH    tezos.PublicKeyHash `json:"pkh"`
	Alias  string              `json:"alias"`
	Kind   tezos.Kind          `json:"kind"`
	Before *hwm.Position       `json:"before"`
	After  hwm.Position        `json:"after"`
	Result string              `json:"result"` // raised, kept, refused
	Why    string              `json:"why,omitempty"`
}

// CeilingRequest sets or lowers ceilings.
type CeilingRequest struct {
	PKHs  []tezos.PublicKeyHash `json:"pkhs"`
	Level int32                 `json:"level"`
	// Far allows a level far from every known level.
	Far bool `json:"far,omitempty"`
}

// CeilingRow is the change of a ceiling.
type CeilingRow struct {
	PKH    tezos.PublicKeyHash `json:"pkh"`
	Alias  string              `json:"alias"`
	Before *int32              `json:"before"`
	After  int32               `json:"after"`
}

// ActivateRequest begins signing at the instance.
type ActivateRequest struct {
	Level *int32 `json:"level"` // floors for all keys
	// Far allows a level far above the highest known.
	Far bool   `json:"far"`
	Why string `json:"why"`
	// DryRun finds the missing parts, and changes nothing.
	DryRun bool `json:"dry_run,omitempty"`
}

// AcknowledgeRequest names alarms by their IDs; without IDs, all alarms up to the last alarm shown to the operator.
type AcknowledgeRequest struct {
	IDs  []uint64 `json:"ids,omitempty"`
	UpTo uint64   `json:"up_to"`
}

// StandbyRequest ends signing.
type StandbyRequest struct {
	Why string `json:"why"`
}
