package hwm

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"time"
)

// Peer is the second instance of a pair, as named by the operator.
type Peer struct {
	Address string     // host:port of its peer listener
	Key     InstanceID // the pin of the peer's TLS certificate
	Since   time.Time  // UTC, to the millisecond
	// Seen is the newest epoch heard from the peer. An instance that says less later has lost its state.
	Seen uint64
}

// CeilingChange sets or lowers a ceiling together with a change of role; a nil Ceiling lifts the ceiling.
type CeilingChange struct {
	Key     CeilingKey
	Ceiling *Ceiling
}

// String is the key in hexadecimal.
func (id InstanceID) String() string { return hex.EncodeToString(id[:]) }

// Short is enough of the ID for people to tell two apart.
func (id InstanceID) Short() string { return hex.EncodeToString(id[:4]) }

// MarshalText carries the key through JSON.
func (id InstanceID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads 64 hexadecimal digits.
func (id *InstanceID) UnmarshalText(b []byte) error {
	key, err := hex.DecodeString(string(b))
	if err != nil || len(key) != len(id) {
		return fmt.Errorf("%.80q is not the key of an instance: 64 hexadecimal digits", b)
	}
	*id = InstanceID(key)
	return nil
}

// Less orders instances, where either must give way.
func (id InstanceID) Less(other InstanceID) bool { return bytes.Compare(id[:], other[:]) < 0 }
