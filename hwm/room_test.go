package hwm_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"highwater/hwm"
	"highwater/internal/tezos"
)

func TestRoom(t *testing.T) {
	digest := [32]byte{1}
	signed := sig(t, tezos.BLS12381, 7)
	at := func(level, round int32) hwm.Mark {
		return hwm.Mark{Position: hwm.Position{Level: level, Round: round}, Digest: digest, HasDigest: true}
	}
	kept := at(100, 0)
	kept.Signature = signed
	floor := hwm.Mark{Position: hwm.Position{Level: 100, Round: hwm.MaxRound}}
	for name, c := range map[string]struct {
		have  hwm.State
		curve tezos.Curve
		level int32
		ok    bool
	}{
		"no mark":                      {hwm.State{}, tezos.BLS12381, 0, false},
		"a floor":                      {hwm.State{Mark: &floor}, tezos.BLS12381, 100, true},
		"the signature is kept":        {hwm.State{Mark: &kept}, tezos.BLS12381, 100, true},
		"interrupted":                  {hwm.State{Mark: ptr(at(100, 0))}, tezos.BLS12381, 99, true},
		"interrupted at a later round": {hwm.State{Mark: ptr(at(100, 1))}, tezos.BLS12381, 100, true},
		"interrupted, above a ceiling": {
			hwm.State{Mark: ptr(at(100, 0)), Ceiling: &hwm.Ceiling{Level: 50}}, tezos.BLS12381, 99, true,
		},
		"interrupted, and never resumed":      {hwm.State{Mark: ptr(at(100, 0))}, tezos.P256, 100, true},
		"interrupted in this process":         {hwm.State{Mark: ptr(at(100, 0)), Fresh: true}, tezos.P256, 99, true},
		"interrupted at the beginning of all": {hwm.State{Mark: ptr(at(0, 0))}, tezos.BLS12381, -1, false},
	} {
		level, ok := hwm.Room(c.have, c.curve)
		require.Equal(t, c.ok, ok, name)
		require.Equal(t, c.level, level, name)
	}
}

func ptr[T any](v T) *T { return &v }

// TestRoomLosesNothing: whatever Decide still lets through to a device is above (room, 0), and one level more would
// lose something.
func TestRoomLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		curve := rapid.SampledFrom([]tezos.Curve{tezos.Ed25519, tezos.Secp256k1, tezos.P256, tezos.BLS12381}).Draw(t, "curve")
		mark := genMark(t, curve)
		mark.Level = rapid.Int32Range(1, 5).Draw(t, "level")
		mark.Round = rapid.SampledFrom([]int32{0, 1, 2, hwm.MaxRound}).Draw(t, "round")
		have := hwm.State{Mark: &mark, Fresh: rapid.Bool().Draw(t, "fresh")}
		room, ok := hwm.Room(have, curve)
		require.True(t, ok)
		lost := 0 // by a device at (room+1, 0)
		for level := int32(0); level < 8; level++ {
			for _, round := range []int32{0, 1, 2, 3, math.MaxInt32} {
				for _, digest := range [][32]byte{mark.Digest, {9}} {
					verdict := hwm.Decide(have, curve, tezos.Request{Level: level, Round: round, Digest: digest}).Verdict
					if verdict != hwm.Advance && verdict != hwm.Resume {
						continue // the device is not asked
					}
					at := hwm.Position{Level: level, Round: round}
					require.Positive(t, at.Compare(hwm.Position{Level: room}), "%s is lost", at)
					if at.Compare(hwm.Position{Level: room + 1}) <= 0 {
						lost++
					}
				}
			}
		}
		require.Positive(t, lost, "there was room for more")
	})
}
