// Package signertest holds the doubles for tests of signers: a device and a store in memory, and the list of released
// signatures.
package signertest

import (
	"bytes"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/baker"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
)

// Chain is the chain of all payloads.
var Chain = tezos.ChainID{1, 2, 3, 4}

// At is when the floors of a store were set.
var At = time.UnixMilli(1_700_000_000_123).UTC()

// NewKey makes a key of a curve; n tells keys apart.
func NewKey(t require.TestingT, curve tezos.Curve, n byte) *softkey.Key {
	k, err := softkey.New(curve, bytes.Repeat([]byte{n + 1}, softkey.MinSeed))
	require.NoError(t, err)
	return k
}

// Payload makes a payload of a kind for a key of a curve; fill tells apart payloads of the same position.
func Payload(curve tezos.Curve, kind tezos.Kind, level, round int32, fill byte) []byte {
	return baker.Step{Chain: Chain, Kind: kind, Level: level, Round: round, Variant: fill}.Payload(curve)
}
