package hwm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Role is the part of an instance in signing. The zero value is no role, and does not sign.
type Role uint8

// The roles. The values are on disk.
const (
	Standby Role = 1 // signs nothing; everything else is warm
	Active  Role = 2 // the owner of its epoch: signs
	Fenced  Role = 3 // found out that signing is forbidden here; only an operator's deliberate act ends the state
)

var roleNames = map[Role]string{Standby: "standby", Active: "active", Fenced: "fenced"}

func (r Role) String() string {
	if name, ok := roleNames[r]; ok {
		return name
	}
	return fmt.Sprintf("role(%d)", uint8(r))
}

// Known tells whether r is a role.
func (r Role) Known() bool { return roleNames[r] != "" }

// MarshalText carries the name through JSON.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads the name.
func (r *Role) UnmarshalText(b []byte) error {
	for v, name := range roleNames {
		if name == string(b) {
			*r = v
			return nil
		}
	}
	return fmt.Errorf("unknown role %q", b)
}

// InstanceID names an instance: its ed25519 public key.
type InstanceID [32]byte

// RoleRecord is the record of the right to sign. The record and its marks are written in one transaction.
type RoleRecord struct {
	Role  Role       // of this instance
	Epoch uint64     // grows only, with each activation
	Owner InstanceID // of the epoch
	Since time.Time  // UTC, to the millisecond
	Why   string     // for people; one line, at most MaxWhy bytes
}

// MaxWhy bounds the reason kept with a role, and with other acts of an operator.
const MaxWhy = 500

// roleFixed is the length of a role record's body before its reason: role 1 · epoch 8 · owner 32 · milliseconds 8.
const roleFixed = 1 + 8 + 32 + 8

// Encode gives the record stored under dbKey. A longer reason is cut.
func (r RoleRecord) Encode(dbKey []byte) []byte {
	b := []byte{recordVersion, byte(r.Role)}
	b = binary.BigEndian.AppendUint64(b, r.Epoch)
	b = append(b, r.Owner[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Since.UnixMilli()))
	return appendCRC(dbKey, append(b, CutWhy(r.Why)...))
}

// DecodeRole reads a role record. Errors are ErrCorrupt, ErrVersion.
func DecodeRole(dbKey, record []byte) (RoleRecord, error) {
	b, err := openRecord(dbKey, record, -1)
	if err != nil {
		return RoleRecord{}, err
	}
	if len(b) < roleFixed || len(b) > roleFixed+MaxWhy || roleNames[Role(b[0])] == "" {
		return RoleRecord{}, fmt.Errorf("%w: a role with impossible fields", ErrCorrupt)
	}
	return RoleRecord{
		Role: Role(b[0]), Epoch: binary.BigEndian.Uint64(b[1:]), Owner: InstanceID(b[9:41]),
		Since: time.UnixMilli(int64(binary.BigEndian.Uint64(b[41:]))).UTC(), //nolint:gosec // the bits matter
		Why:   string(b[roleFixed:]),
	}, nil
}

// ErrEpoch is returned when a change of role would not raise the epoch where it must.
var ErrEpoch = errors.New("the epoch must grow")

// CheckSuccession tells whether next may follow prev: the epoch never falls; an activation takes a higher epoch. So
// does another owner, but for a role that does not sign: two takeovers can meet at one epoch, and one side yields the
// epoch to the other.
func CheckSuccession(prev, next RoleRecord) error {
	switch {
	case roleNames[next.Role] == "":
		return fmt.Errorf("unknown role %d", next.Role)
	case next.Epoch < prev.Epoch:
		return fmt.Errorf("%w: %d after %d", ErrEpoch, next.Epoch, prev.Epoch)
	case next.Epoch == prev.Epoch && next.Role == Active && (next.Owner != prev.Owner || prev.Role != Active):
		return fmt.Errorf("%w: another owner or an activation needs an epoch above %d", ErrEpoch, prev.Epoch)
	}
	return nil
}

// CutWhy makes an operator's reason one line of at most MaxWhy bytes.
func CutWhy(why string) string {
	why = strings.ToValidUTF8(strings.Join(strings.Fields(why), " "), "?")
	if len(why) > MaxWhy {
		why = strings.TrimRight(strings.ToValidUTF8(why[:MaxWhy], ""), " ")
	}
	return why
}
