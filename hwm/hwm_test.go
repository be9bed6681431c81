package hwm_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"highwater/hwm"
	"highwater/internal/tezos"
)

var at = time.UnixMilli(1_700_000_000_123).UTC()

func sig(t require.TestingT, curve tezos.Curve, fill byte) tezos.Signature {
	n := 64
	if curve == tezos.BLS12381 {
		n = 96
	}
	raw := make([]byte, n)
	for i := range raw {
		raw[i] = fill
	}
	s, err := tezos.NewSignature(curve, raw)
	require.NoError(t, err)
	return s
}

func TestDecide(t *testing.T) {
	var (
		mine   = [32]byte{1}
		other  = [32]byte{2}
		signed = sig(t, tezos.P256, 7)
	)
	mark := func(level, round int32, digest [32]byte, s tezos.Signature) *hwm.Mark {
		return &hwm.Mark{
			Position: hwm.Position{Level: level, Round: round}, Digest: digest, HasDigest: true, Signature: s,
			Source: hwm.SourceSigned,
		}
	}
	floor := hwm.Floor(10, at, hwm.SourceSet)
	none := tezos.Signature{}
	cases := []struct {
		name         string
		have         hwm.State
		curve        tezos.Curve
		level, round int32
		want         hwm.Verdict
		reason       hwm.Reason
	}{
		{"no mark", hwm.State{}, 0, 1, 0, hwm.Refuse, hwm.NoMark},
		{"no mark, even fresh", hwm.State{Fresh: true}, 0, math.MaxInt32, 0, hwm.Refuse, hwm.NoMark},
		{"next level", hwm.State{Mark: mark(10, 3, mine, signed)}, 0, 11, 0, hwm.Advance, ""},
		{"next round", hwm.State{Mark: mark(10, 3, mine, signed)}, 0, 10, 4, hwm.Advance, ""},
		{"lower round", hwm.State{Mark: mark(10, 3, mine, signed)}, 0, 10, 2, hwm.Refuse, hwm.NotAbove},
		{"lower level, higher round", hwm.State{Mark: mark(10, 3, mine, signed)}, 0, 9, 9, hwm.Refuse, hwm.NotAbove},
		{"a difference that wraps", hwm.State{Mark: mark(math.MaxInt32, 0, mine, signed)}, 0, 0, 0, hwm.Refuse, hwm.NotAbove},
		{"same bytes, kept signature", hwm.State{Mark: mark(10, 3, mine, signed)}, tezos.P256, 10, 3, hwm.Replay, ""},
		{"same place, other bytes", hwm.State{Mark: mark(10, 3, other, signed)}, 0, 10, 3, hwm.Refuse, hwm.Conflict},
		{
			"same place, other bytes, fresh",
			hwm.State{Mark: mark(10, 3, other, none), Fresh: true},
			0, 10, 3, hwm.Refuse,
			hwm.Conflict,
		},
		{
			"same bytes, no signature, fresh",
			hwm.State{Mark: mark(10, 3, mine, none), Fresh: true},
			tezos.P256, 10, 3,
			hwm.Resume, "",
		},
		{"same bytes after a restart, tz1", hwm.State{Mark: mark(10, 3, mine, none)}, tezos.Ed25519, 10, 3, hwm.Resume, ""},
		{"same bytes after a restart, tz4", hwm.State{Mark: mark(10, 3, mine, none)}, tezos.BLS12381, 10, 3, hwm.Resume, ""},
		{
			"same bytes after a restart, tz2",
			hwm.State{Mark: mark(10, 3, mine, none)},
			tezos.Secp256k1, 10, 3, hwm.Refuse,
			hwm.NotAbove,
		},
		{
			"same bytes after a restart, tz3",
			hwm.State{Mark: mark(10, 3, mine, none)},
			tezos.P256, 10, 3, hwm.Refuse,
			hwm.NotAbove,
		},
		{"at a floor's level", hwm.State{Mark: &floor}, 0, 10, math.MaxInt32 - 1, hwm.Refuse, hwm.NotAbove},
		{"at a floor exactly", hwm.State{Mark: &floor, Fresh: true}, 0, 10, math.MaxInt32, hwm.Refuse, hwm.NotAbove},
		{"above a floor", hwm.State{Mark: &floor}, 0, 11, 0, hwm.Advance, ""},
		{
			"at the ceiling",
			hwm.State{Mark: mark(10, 3, mine, signed), Ceiling: &hwm.Ceiling{Level: 11}},
			0, 11, 9,
			hwm.Advance, "",
		},
		{
			"above the ceiling",
			hwm.State{Mark: mark(10, 3, mine, signed), Ceiling: &hwm.Ceiling{Level: 11}},
			0, 12, 0,
			hwm.Refuse, hwm.AboveCeiling,
		},
		{
			"resume above a ceiling",
			hwm.State{Mark: mark(10, 3, mine, none), Fresh: true, Ceiling: &hwm.Ceiling{Level: 9}},
			0,
			10, 3, hwm.Refuse, hwm.AboveCeiling,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			req := tezos.Request{Kind: tezos.Attestation, Level: c.level, Round: c.round, Digest: mine}
			got := hwm.Decide(c.have, c.curve, req)
			require.Equal(t, c.want, got.Verdict)
			require.Equal(t, c.reason, got.Reason)
			if got.Verdict == hwm.Refuse {
				refusal := hwm.NewRefusal(hwm.Key{Kind: req.Kind}, c.have, req, got)
				require.ErrorIs(t, refusal, hwm.ErrRefused)
				require.NotContains(t, refusal.Error(), "%!")
			}
		})
	}
}

// Bytes that differ from those of the mark in one bit of their digest are other bytes.
func TestEveryBitOfADigestCounts(t *testing.T) {
	mine := tezos.Request{Kind: tezos.Block, Level: 10, Round: 3, Digest: [32]byte{1, 2, 3}}
	interrupted := hwm.MarkFor(mine, at)
	signed := interrupted
	signed.Signature = sig(t, tezos.Ed25519, 7)
	for mark, same := range map[*hwm.Mark]hwm.Verdict{&interrupted: hwm.Resume, &signed: hwm.Replay} {
		have := hwm.State{Mark: mark, Fresh: true}
		require.Equal(t, same, hwm.Decide(have, tezos.Ed25519, mine).Verdict)
		for bit := range 8 * len(mine.Digest) {
			other := mine
			other.Digest[bit/8] ^= 1 << (bit % 8)
			require.Equal(t, hwm.Decision{Verdict: hwm.Refuse, Reason: hwm.Conflict}, hwm.Decide(have, tezos.Ed25519, other),
				"bit %d", bit)
		}
	}
}

func genMark(t *rapid.T, curve tezos.Curve) hwm.Mark {
	m := hwm.Mark{
		Position: hwm.Position{
			Level: rapid.Int32Range(0, math.MaxInt32).Draw(t, "level"),
			Round: rapid.Int32Range(0, math.MaxInt32).Draw(t, "round"),
		},
		HasDigest: rapid.Bool().Draw(t, "digest"),
		At:        time.UnixMilli(rapid.Int64Range(0, 1<<45).Draw(t, "at")).UTC(),
		Source:    hwm.Source(rapid.Uint8Range(1, 7).Draw(t, "source")),
	}
	if m.HasDigest {
		m.Digest = [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "bytes"))
		if rapid.Bool().Draw(t, "signed") {
			m.Signature = sig(t, curve, rapid.Byte().Draw(t, "fill"))
		}
	}
	return m
}

func TestMarkRecordRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		curve := tezos.Curve(rapid.Uint8Range(0, 3).Draw(t, "curve"))
		key := hwm.Key{
			Chain: tezos.Mainnet, PKH: tezos.PublicKeyHash{Curve: curve},
			Kind: rapid.SampledFrom(tezos.Kinds).Draw(t, "kind"),
		}
		dbKey, err := key.MarshalBinary()
		require.NoError(t, err)
		mark := genMark(t, curve)
		record := mark.Encode(dbKey)
		got, err := hwm.DecodeMark(dbKey, curve, record)
		require.NoError(t, err)
		require.Equal(t, mark, got)

		// Any one flipped bit is found out, and so is the same record under another key.
		bit := rapid.IntRange(0, len(record)*8-1).Draw(t, "bit")
		record[bit/8] ^= 1 << (bit % 8)
		got, err = hwm.DecodeMark(dbKey, curve, record)
		require.ErrorIs(t, err, hwm.ErrCorrupt)
		require.Zero(t, got)
		record[bit/8] ^= 1 << (bit % 8)
		dbKey[0] ^= 1
		_, err = hwm.DecodeMark(dbKey, curve, record)
		require.ErrorIs(t, err, hwm.ErrCorrupt)
	})
}

func TestUnknownVersionIsNotCorrupt(t *testing.T) {
	c := hwm.Ceiling{Level: 5, At: at, Source: hwm.SourceSet}
	record := c.Encode([]byte("k"))
	got, err := hwm.DecodeCeiling([]byte("k"), record)
	require.NoError(t, err)
	require.Equal(t, c, got)

	_, err = hwm.DecodeCeiling([]byte("k"), hwm.Reseal([]byte("k"), 2, record))
	require.ErrorIs(t, err, hwm.ErrVersion)
	require.NotErrorIs(t, err, hwm.ErrCorrupt)
}

func TestRoleRecord(t *testing.T) {
	r := hwm.RoleRecord{Role: hwm.Active, Epoch: 7, Owner: hwm.InstanceID{9}, Since: at, Why: "moved\nhere"}
	got, err := hwm.DecodeRole([]byte("k"), r.Encode([]byte("k")))
	require.NoError(t, err)
	r.Why = "moved here"
	require.Equal(t, r, got)

	for _, c := range []struct {
		name string
		next hwm.RoleRecord
		ok   bool
	}{
		{"stay", r, true},
		{"stand by in the same epoch", hwm.RoleRecord{Role: hwm.Standby, Epoch: 7, Owner: r.Owner}, true},
		{"lower epoch", hwm.RoleRecord{Role: hwm.Active, Epoch: 6, Owner: r.Owner}, false},
		{"yield to another owner in the same epoch", hwm.RoleRecord{Role: hwm.Standby, Epoch: 7}, true},
		{"sign in another owner's epoch", hwm.RoleRecord{Role: hwm.Active, Epoch: 7}, false},
		{"other owner, next epoch", hwm.RoleRecord{Role: hwm.Standby, Epoch: 8}, true},
		{"no role", hwm.RoleRecord{Epoch: 8, Owner: r.Owner}, false},
	} {
		require.Equal(t, c.ok, hwm.CheckSuccession(r, c.next) == nil, c.name)
	}
	standby := hwm.RoleRecord{Role: hwm.Standby, Epoch: 7, Owner: r.Owner}
	require.ErrorIs(t, hwm.CheckSuccession(standby, r), hwm.ErrEpoch,
		"a standby does not become active again in its epoch")
}

func TestMergeNeverLowers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := genMark(t, tezos.Ed25519), genMark(t, tezos.Ed25519)
		c := hwm.Merge(hwm.Key{}, &a, b)
		require.False(t, a.Above(c.After))
		require.False(t, b.Above(c.After))
		require.Equal(t, b.Above(a), c.Raised)
		require.True(t, hwm.Merge(hwm.Key{}, nil, b).Raised)
	})
}

func FuzzDecodeMark(f *testing.F) {
	f.Add(hwm.Floor(5, at, hwm.SourceSet).Encode([]byte("k")), byte(0))
	f.Add(hwm.Mark{HasDigest: true, Source: hwm.SourceSigned, Signature: sig(f, tezos.BLS12381, 1)}.Encode([]byte("k")),
		byte(3))
	f.Fuzz(func(t *testing.T, record []byte, curve byte) {
		// A random checksum never fits, so each input is also tried with the right one.
		for _, r := range [][]byte{record, hwm.Reseal([]byte("k"), 1, record)} {
			m, err := hwm.DecodeMark([]byte("k"), tezos.Curve(curve%4), r)
			if err != nil {
				require.Zero(t, m)
				continue
			}
			require.Equal(t, r, m.Encode([]byte("k")))
		}
	})
}

func FuzzKey(f *testing.F) {
	f.Add(make([]byte, 26))
	f.Fuzz(func(t *testing.T, b []byte) {
		var k hwm.Key
		if err := k.UnmarshalBinary(b); err != nil {
			require.Zero(t, k)
			return
		}
		back, err := k.MarshalBinary()
		require.NoError(t, err)
		require.Equal(t, b, back)
	})
}

func FuzzDecodeRole(f *testing.F) {
	f.Add(hwm.RoleRecord{Role: hwm.Standby, Why: "x"}.Encode([]byte("k")))
	f.Fuzz(func(t *testing.T, record []byte) {
		r, err := hwm.DecodeRole([]byte("k"), hwm.Reseal([]byte("k"), 1, record))
		if err != nil {
			require.Zero(t, r)
			return
		}
		again, err := hwm.DecodeRole([]byte("k"), r.Encode([]byte("k")))
		require.NoError(t, err)
		require.Equal(t, hwm.CutWhy(r.Why), again.Why)
	})
}
