package operate

import (
	"strconv"
	"time"

	"highwater/failover"
	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/signer"
)

// Role is the durable role as it is shown.
type Role struct {
	Role  hwm.Role  `json:"role"`
	Epoch uint64    `json:"epoch"`
	Owner string    `json:"owner"` // hex of the owner's public key
	Mine  bool      `json:"mine"`  // this instance is the owner
	Since time.Time `json:"since"`
	Why   string    `json:"why"`
}

// Status is one screen.
type Status struct {
	Version  string   `json:"version"`
	Running  bool     `json:"running"` // a daemon answered
	Signing  bool     `json:"signing"` // requests are let in now
	Instance string   `json:"instance"`
	Chain    string   `json:"chain"`
	Role     Role     `json:"role"`
	Store    string   `json:"store"` // "ok", or what is wrong
	Ready    bool     `json:"ready"`
	NotReady []string `json:"not_ready,omitempty"` // a reason for each no
	Notes    []string `json:"notes,omitempty"`     // worth knowing, and no reason against readiness
	// Ahead are the keys that would not sign the level after the head of the node, because of a mark or a ceiling.
	Ahead []Ahead `json:"ahead,omitempty"`
	// Alarms are what an operator should look into. None keeps the instance from signing.
	Alarms  []signer.Alarm `json:"alarms"`
	Devices []DeviceRow    `json:"devices"`
	Keys    []KeyRow       `json:"keys"`
	Marks   []MarkRow      `json:"marks"`
	// LastAsked is when a client asked this process for a signature last, whatever came of it; null: it was not asked.
	LastAsked *time.Time `json:"last_asked,omitempty"`
	// LastRun is how the run before this one ended; null where that is not known.
	LastRun *LastRun `json:"last_run,omitempty"`
	// Guard is how the look at the chain does.
	Guard Guard `json:"guard"`
	// Pair is who may sign of the two instances, and what to do; null where that is not known.
	Pair *failover.View `json:"pair,omitempty"`
}

// AllNotes are the notes, and those of devices that are ready.
func (s Status) AllNotes() []string {
	out := append([]string{}, s.Notes...)
	for _, d := range s.Devices {
		if note := d.Note(); note != "" {
			out = append(out, "device "+d.Name+": "+note)
		}
	}
	return out
}

// Ahead is a key that would not sign the level after the head.
type Ahead struct {
	PKH  tezos.PublicKeyHash `json:"pkh"`
	From int32               `json:"from"` // the first level that it signs; zero: none, its ceiling is below the chain
	Far  bool                `json:"far"`  // no margin is so wide
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
	Device    string              `json:"device"` // the one that would be asked
	Health    string              `json:"health"` // of the key on its devices: ready, or what keeps them from signing with it
	Advice    string              `json:"advice,omitempty"`
	Spares    []string            `json:"spares,omitempty"`
	Allow     []tezos.Kind        `json:"allow"`
	New       bool                `json:"new,omitempty"`    // it has no mark, and never signed as far as is known
	Faults    []signer.KeyFault   `json:"faults,omitempty"` // why it cannot sign here, the instance's store and role left out
}

// Unable is the first fault that lies between this machine and its devices; nil: given the right to sign, the key can sign here.
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
	Horizon   *int32              `json:"horizon"` // up to there the key's signatures wait for no disk; null: none
	Ceiling   *int32              `json:"ceiling"`
	Signed    bool                `json:"signed"` // a request made the mark, and its signature is kept
	Source    string              `json:"source"`
	UpdatedAt *time.Time          `json:"updated_at"`
}

// LevelText is the level for people: "none" when there is no mark.
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
	Kinds []tezos.Kind          `json:"kinds"` // empty: all that a key may sign
	Level int32                 `json:"level"`
	Round *int32                `json:"round"` // nil: any round of the level is below
	// Far allows a level far above the highest known.
	Far bool `json:"far"`
	// DryRun shows what would become of each mark, and changes nothing.
	DryRun bool `json:"dry_run,omitempty"`
	// Rows, when given, are raised one by one instead (import); Source is then "import".
	Rows []hwm.ImportRow `json:"rows,omitempty"`
}

// ChangeRow is what became of one mark.
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
	// Far allows a level far from all that is known.
	Far bool `json:"far,omitempty"`
}

// CeilingRow is a ceiling that was set.
type CeilingRow struct {
	PKH    tezos.PublicKeyHash `json:"pkh"`
	Alias  string              `json:"alias"`
	Before *int32              `json:"before"`
	After  int32               `json:"after"`
}

// ActivateRequest makes the instance the one that signs.
type ActivateRequest struct {
	Level *int32 `json:"level"` // floors for all keys
	// Far allows a level far above the highest known.
	Far bool   `json:"far"`
	Why string `json:"why"`
	// DryRun finds what is missing, and changes nothing.
	DryRun bool `json:"dry_run,omitempty"`
}

// AcknowledgeRequest names alarms by their IDs, or, without any, the last one of all that the operator was shown.
type AcknowledgeRequest struct {
	IDs  []uint64 `json:"ids,omitempty"`
	UpTo uint64   `json:"up_to"`
}

// StandbyRequest ends signing.
type StandbyRequest struct {
	Why string `json:"why"`
}
