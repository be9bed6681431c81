// Package storetest is the suite for every implementation of signer.Store.
package storetest

import (
	"bytes"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/signer"
)

// Open makes an empty store, in standby, for a test. The function beside the store closes the store, and opens
// the same store anew: everything in the new store was durable. Both clean up after themselves.
type Open func(t *testing.T) (s signer.Store, reopen func() signer.Store)

// Run holds an implementation to the contract of signer.Store.
func Run(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Open)
	}{
		{"absence is not zero", absence},
		{"advance is strictly above", advance},
		{"advance shows at once and lasts", advanceLasts},
		{"a ceiling stops an advance", ceiling},
		{"a ceiling only falls", ceilingFalls},
		{"keep", keep},
		{"keep for a missing mark", keepForWhatIsGone},
		{"raise by maximum", raise},
		{"raise refuses nonsense", raiseNonsense},
		{"each mark that is accepted can be read again", readable},
		{"fresh only in its own process", fresh},
		{"roles", roles},
		{"a role and its floors are one write", roleFloors},
		{"a role and its ceilings are one write", roleCeilings},
		{"identity", identity},
		{"known keys", knownKeys},
		{"seen", seen},
		{"alarms", alarms},
		{"keys, kinds and chains are apart", apart},
		{"one wins", oneWins},
		{"many keys at once", manyKeys},
		{"advance against raise", advanceAgainstRaise},
		{"a reader sees marks grow", monotonicReads},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open) })
	}
}

// Chain is the test chain of the suite's keys.
var Chain = tezos.ChainID{0xde, 0xad, 0xbe, 0xef}

var at = time.UnixMilli(1_700_000_000_123).UTC()

// Key makes a key's mark name: n tells keys apart.
func Key(n int, kind tezos.Kind) hwm.Key {
	pkh := tezos.PublicKeyHash{Curve: tezos.Curve(n % 4)}
	copy(pkh.Hash[:], fmt.Sprintf("key %d", n))
	return hwm.Key{Chain: Chain, PKH: pkh, Kind: kind}
}

// Mark is the mark of a request at a position, for the payload that fill stands for.
func Mark(level, round int32, fill byte) hwm.Mark {
	return hwm.Mark{
		Position: hwm.Position{Level: level, Round: round}, Digest: [32]byte(bytes.Repeat([]byte{fill}, 32)), HasDigest: true,
		At: at, Source: hwm.SourceSigned,
	}
}

// Signature is made-up, of the right length for a curve.
func Signature(t require.TestingT, curve tezos.Curve, fill byte) tezos.Signature {
	size := 64
	if curve == tezos.BLS12381 {
		size = 96
	}
	s, err := tezos.NewSignature(curve, bytes.Repeat([]byte{fill}, size))
	require.NoError(t, err)
	return s
}

// Floor gives keys their first mark.
func Floor(t require.TestingT, s signer.Store, level int32, keys ...hwm.Key) {
	rows := make([]hwm.Row, 0, len(keys))
	for _, k := range keys {
		rows = append(rows, hwm.Row{Key: k, Mark: hwm.Floor(level, at, hwm.SourceSet)})
	}
	_, err := s.Raise(rows)
	require.NoError(t, err)
}

// Advance moves a mark and waits until that is durable.
func Advance(s signer.Store, key hwm.Key, mark hwm.Mark) error {
	p, err := s.Advance(key, mark)
	if err != nil {
		return err
	}
	return p.Wait()
}

func state(t require.TestingT, s signer.Store, key hwm.Key) hwm.State {
	st, err := s.State(key)
	require.NoError(t, err)
	return st
}

func markOf(t require.TestingT, s signer.Store, key hwm.Key) hwm.Mark {
	st := state(t, s, key)
	require.NotNil(t, st.Mark)
	return *st.Mark
}

func absence(t *testing.T, open Open) {
	s, reopen := open(t)
	key := Key(1, tezos.Block)
	for range 2 {
		st := state(t, s, key)
		require.Nil(t, st.Mark)
		require.Nil(t, st.Ceiling)
		require.False(t, st.Fresh)
		_, err := s.Advance(key, Mark(5, 0, 1))
		require.ErrorIs(t, err, hwm.ErrNoMark)
		_, err = s.Advance(key, Mark(math.MaxInt32, 0, 1))
		require.ErrorIs(t, err, hwm.ErrNoMark)
		s.Keep(key, Mark(0, 0, 0).Digest, Signature(t, key.PKH.Curve, 1))
		require.Nil(t, state(t, s, key).Mark, "a refusal made a mark")
		rows, err := s.Rows()
		require.NoError(t, err)
		require.Empty(t, rows)
		require.Empty(t, s.Ceilings())
		s = reopen()
	}
	// A ceiling alone is no mark, and a mark of a kind is no mark of a second kind.
	require.NoError(t, s.SetCeiling(hwm.CeilingKey{Chain: Chain, PKH: key.PKH},
		hwm.Ceiling{Level: 9, At: at, Source: hwm.SourceSet}))
	require.Nil(t, state(t, s, key).Mark)
	require.NotNil(t, state(t, s, key).Ceiling)
	_, err := s.Advance(key, Mark(5, 0, 1))
	require.ErrorIs(t, err, hwm.ErrNoMark)
	// A mark at zero is a mark.
	Floor(t, s, 0, key)
	require.Equal(t, hwm.Position{Level: 0, Round: hwm.MaxRound}, markOf(t, reopen(), key).Position)
}

func advance(t *testing.T, open Open) {
	s, _ := open(t)
	key := Key(1, tezos.Attestation)
	Floor(t, s, 10, key)
	for _, step := range []struct {
		level, round int32
		ok           bool
	}{
		{10, hwm.MaxRound, false},
		{10, 0, false},
		{9, hwm.MaxRound, false},
		{0, 0, false},
		{11, 0, true},
		{11, 0, false},
		{11, 1, true},
		{11, 0, false},
		{10, 7, false},
		{math.MaxInt32, 0, true}, // 2³¹-1 - 0 does not wrap
		{0, 0, false},
		{math.MaxInt32 - 1, hwm.MaxRound, false},
		{math.MaxInt32, 1, true},
	} {
		before := markOf(t, s, key)
		err := Advance(s, key, Mark(step.level, step.round, byte(step.level+step.round)))
		if step.ok {
			require.NoError(t, err)
			require.Equal(t, hwm.Position{Level: step.level, Round: step.round}, markOf(t, s, key).Position)
			continue
		}
		require.ErrorIs(t, err, hwm.ErrMoved, "%d %d", step.level, step.round)
		require.Equal(t, before, markOf(t, s, key), "a refused advance changed the mark")
	}
}

func advanceLasts(t *testing.T, open Open) {
	s, reopen := open(t)
	key := Key(2, tezos.Block)
	Floor(t, s, 10, key)
	for level := int32(11); level < 15; level++ {
		want := Mark(level, 2, byte(level))
		p, err := s.Advance(key, want)
		require.NoError(t, err)
		require.Equal(t, want, markOf(t, s, key), "the mark did not move before the sync")
		require.NoError(t, p.Wait())
		require.NoError(t, p.Wait(), "Wait can be called twice")
		s = reopen()
		require.Equal(t, want, markOf(t, s, key))
		require.ErrorIs(t, Advance(s, key, Mark(level, 2, 99)), hwm.ErrMoved, "different bytes at a "+
			"position with a signature")
	}
}

func ceiling(t *testing.T, open Open) {
	s, reopen := open(t)
	block, attestation, other := Key(1, tezos.Block), Key(1, tezos.Attestation), Key(2, tezos.Block)
	Floor(t, s, 10, block, attestation, other)
	require.NoError(t, s.SetCeiling(hwm.CeilingKey{Chain: Chain, PKH: block.PKH},
		hwm.Ceiling{Level: 12, At: at, Source: hwm.SourceSet}))
	for range 2 {
		for _, key := range []hwm.Key{block, attestation} {
			require.Equal(t, int32(12), state(t, s, key).Ceiling.Level)
			require.ErrorIs(t, Advance(s, key, Mark(13, 0, 1)), hwm.ErrMoved)
		}
		s = reopen()
	}
	require.NoError(t, Advance(s, block, Mark(12, 3, 1)), "a ceiling is included")
	require.NoError(t, Advance(s, block, Mark(12, 4, 1)))
	require.NoError(t, Advance(s, other, Mark(13, 0, 1)), "the ceiling of another key")
	// Floors may be above the ceiling: floors forbid, and allow nothing.
	Floor(t, s, 20, attestation)
	require.ErrorIs(t, Advance(s, attestation, Mark(21, 0, 1)), hwm.ErrMoved)
}

func ceilingFalls(t *testing.T, open Open) {
	s, reopen := open(t)
	key := hwm.CeilingKey{Chain: Chain, PKH: Key(1, tezos.Block).PKH}
	set := func(level int32) error {
		return s.SetCeiling(key, hwm.Ceiling{Level: level, At: at, Source: hwm.SourcePeer})
	}
	require.Error(t, set(-1))
	require.Empty(t, s.Ceilings())
	require.NoError(t, set(100))
	require.NoError(t, set(100))
	require.ErrorIs(t, set(101), hwm.ErrMoved)
	require.NoError(t, set(50))
	require.ErrorIs(t, set(51), hwm.ErrMoved)
	require.Error(t, set(-1))
	want := map[hwm.CeilingKey]hwm.Ceiling{key: {Level: 50, At: at, Source: hwm.SourcePeer}}
	require.Equal(t, want, s.Ceilings())
	s = reopen()
	require.Equal(t, want, s.Ceilings())
	require.ErrorIs(t, set(51), hwm.ErrMoved)
	require.NoError(t, s.SetCeiling(key, hwm.Ceiling{Level: 40, At: at, Source: hwm.SourceSet}))
	require.Equal(t, hwm.SourcePeer, s.Ceilings()[key].Source, "an operator lowers the ceiling, "+
		"and the ceiling is still the peer's")
	require.NoError(t, set(0))
	require.Equal(t, int32(0), reopen().Ceilings()[key].Level, "a ceiling of zero is a ceiling")
}

func keep(t *testing.T, open Open) {
	s, reopen := open(t)
	for n := range 4 {
		key := Key(n, tezos.Attestation)
		Floor(t, s, 10, key)
		want := Mark(11, 0, 7)
		require.NoError(t, Advance(s, key, want))
		want.Signature = Signature(t, key.PKH.Curve, 3)
		s.Keep(key, want.Digest, want.Signature)
		require.Equal(t, want, markOf(t, s, key))
		s.Keep(key, want.Digest, Signature(t, key.PKH.Curve, 4))
		require.Equal(t, want, markOf(t, s, key), "the first signature was released")
		s = reopen()
		require.Equal(t, want, markOf(t, s, key), "an orderly end keeps signatures")
		next := Mark(11, 1, 8)
		require.NoError(t, Advance(s, key, next))
		require.Equal(t, next, markOf(t, s, key), "the signature of an older mark stayed")
		s = reopen()
		require.Equal(t, next, markOf(t, s, key))
	}
}

func keepForWhatIsGone(t *testing.T, open Open) {
	s, reopen := open(t)
	key := Key(1, tezos.Attestation)
	Floor(t, s, 10, key)
	first, second := Mark(11, 0, 1), Mark(12, 0, 2)
	require.NoError(t, Advance(s, key, first))
	require.NoError(t, Advance(s, key, second))
	s.Keep(key, first.Digest, Signature(t, key.PKH.Curve, 3))
	require.Equal(t, second, markOf(t, s, key), "a late signature was attached to another mark")
	s.Keep(Key(9, tezos.Block), first.Digest, Signature(t, tezos.Secp256k1, 3))
	Floor(t, s, 13, key)
	floor := markOf(t, s, key)
	s.Keep(key, second.Digest, Signature(t, key.PKH.Curve, 3))
	s.Keep(key, [32]byte{}, Signature(t, key.PKH.Curve, 3)) // the digest that a floor does not have
	require.Equal(t, floor, markOf(t, s, key))
	s = reopen()
	require.Equal(t, floor, markOf(t, s, key))
	require.Nil(t, state(t, s, Key(9, tezos.Block)).Mark)
}

func raise(t *testing.T, open Open) {
	s, reopen := open(t)
	low, high, made := Key(1, tezos.Block), Key(2, tezos.Block), Key(3, tezos.Attestation)
	require.NoError(t, must(s.Raise(nil)))
	Floor(t, s, 10, low, high)
	kept := Mark(50, 1, 5)
	require.NoError(t, Advance(s, high, kept))
	kept.Signature = Signature(t, high.PKH.Curve, 1)
	s.Keep(high, kept.Digest, kept.Signature)
	at20 := hwm.Mark{Position: hwm.Position{Level: 20, Round: 3}, At: at, Source: hwm.SourceImport}
	changes, err := s.Raise([]hwm.Row{{Key: low, Mark: at20}, {Key: high, Mark: at20}, {Key: made, Mark: at20}})
	require.NoError(t, err)
	floor10 := hwm.Floor(10, at, hwm.SourceSet)
	require.Equal(t, []hwm.Change{
		{Key: low, Before: &floor10, After: at20, Raised: true},
		{Key: high, Before: &kept, After: kept},
		{Key: made, After: at20, Raised: true},
	}, changes)
	// Equal is not above: the present mark stays, signature included.
	changes, err = s.Raise([]hwm.Row{{Key: high, Mark: hwm.Mark{Position: kept.Position, At: at, Source: hwm.SourcePeer}}})
	require.NoError(t, err)
	require.False(t, changes[0].Raised)
	// Two rows for a key: the higher row stays, in either order.
	Floor(t, s, 30, made)
	_, err = s.Raise([]hwm.Row{
		{Key: low, Mark: hwm.Floor(31, at, hwm.SourceSet)},
		{Key: low, Mark: hwm.Floor(30, at, hwm.SourceSet)},
	})
	require.NoError(t, err)
	for range 2 {
		require.Equal(t, int32(31), markOf(t, s, low).Level)
		require.Equal(t, kept, markOf(t, s, high))
		require.Equal(t, hwm.Floor(30, at, hwm.SourceSet), markOf(t, s, made))
		rows, err := s.Rows()
		require.NoError(t, err)
		require.Len(t, rows, 3)
		s = reopen()
	}
}

func must[T any](_ T, err error) error { return err }

func raiseNonsense(t *testing.T, open Open) {
	s, reopen := open(t)
	good, bad := Key(1, tezos.Block), Key(2, tezos.Block)
	Floor(t, s, 5, good)
	for _, p := range []hwm.Position{{Level: -1}, {Level: 7, Round: -1}, {Level: math.MinInt32, Round: math.MinInt32}} {
		_, err := s.Raise([]hwm.Row{
			{Key: good, Mark: hwm.Floor(9, at, hwm.SourceSet)},
			{Key: bad, Mark: hwm.Mark{Position: p, At: at, Source: hwm.SourceSet}},
		})
		require.Error(t, err)
		require.Equal(t, int32(5), markOf(t, s, good).Level, "half of a refused list was taken")
		require.Nil(t, state(t, s, bad).Mark)
	}
	s = reopen()
	require.Equal(t, int32(5), markOf(t, s, good).Level)
	require.NoError(t, s.Healthy())
}

// readable gives the store impossible marks: each is refused, or can be read again. Otherwise the file would stop its
// baker at the next start.
func readable(t *testing.T, open Open) {
	s, reopen := open(t)
	good := Key(1, tezos.Block)
	Floor(t, s, 5, good)
	row := func(change func(*hwm.Row)) hwm.Row {
		r := hwm.Row{Key: Key(2, tezos.Block), Mark: Mark(6, 0, 1)}
		change(&r)
		return r
	}
	odd := []hwm.Row{
		row(func(r *hwm.Row) { r.Source = 0 }),
		row(func(r *hwm.Row) { r.Source = 200 }),
		row(func(r *hwm.Row) { r.Kind = 0 }),
		row(func(r *hwm.Row) { r.Kind = 0x03 }),
		row(func(r *hwm.Row) { r.PKH.Curve = 77 }),
		row(func(r *hwm.Row) { r.HasDigest, r.Signature = false, Signature(t, r.PKH.Curve, 1) }),
		row(func(r *hwm.Row) { r.Signature = Signature(t, tezos.BLS12381, 1) }),
		row(func(r *hwm.Row) { r.At = time.Time{} }),
		row(func(r *hwm.Row) { r.At = time.Unix(math.MaxInt64/2, 0) }),
	}
	for _, r := range odd {
		if _, err := s.Raise([]hwm.Row{r}); err == nil {
			continue
		}
		require.NoError(t, s.Healthy())
		_, err := s.State(good)
		require.NoError(t, err)
	}
	mark := Mark(7, 0, 1)
	mark.Source = 99
	_, err := s.Advance(good, mark)
	require.Error(t, err)
	require.Error(t, s.SetCeiling(hwm.CeilingKey{Chain: Chain, PKH: good.PKH}, hwm.Ceiling{Level: 9, At: at}),
		"a ceiling without a source")
	require.NoError(t, Advance(s, good, Mark(7, 0, 1)))
	s.Keep(good, Mark(7, 0, 1).Digest, Signature(t, tezos.BLS12381, 1)) // not of the key's curve
	require.Error(t, s.SetSeen("device", tezos.PublicKeyHash{Curve: 77}, 0, hwm.Position{Level: 1}))
	require.NoError(t, s.Healthy())
	s = reopen()
	require.Equal(t, Mark(7, 0, 1), markOf(t, s, good))
}

func fresh(t *testing.T, open Open) {
	s, reopen := open(t)
	key := Key(1, tezos.Block)
	Floor(t, s, 5, key)
	require.False(t, state(t, s, key).Fresh)
	require.NoError(t, Advance(s, key, Mark(6, 0, 1)))
	require.True(t, state(t, s, key).Fresh)
	Floor(t, s, 7, key)
	require.False(t, state(t, s, key).Fresh, "a floor was not asked for by anybody here")
	require.NoError(t, Advance(s, key, Mark(8, 0, 1)))
	s = reopen()
	require.False(t, state(t, s, key).Fresh, "a new process does not know the released signatures")
}

func apart(t *testing.T, open Open) {
	s, reopen := open(t)
	base := Key(0, tezos.Block)
	curve, hash, kind, chain := base, base, base, base
	curve.PKH.Curve = tezos.P256
	hash.PKH.Hash[19]++
	kind.Kind = tezos.Preattestation
	chain.Chain[3]++
	all := []hwm.Key{base, curve, hash, kind, chain}
	Floor(t, s, 5, all...)
	for i, key := range all {
		require.NoError(t, Advance(s, key, Mark(int32(10+i), 0, 1)))
	}
	require.NoError(t, s.SetCeiling(hwm.CeilingKey{Chain: base.Chain, PKH: base.PKH},
		hwm.Ceiling{Level: 99, At: at, Source: hwm.SourceSet}))
	for range 2 {
		for i, key := range all {
			st := state(t, s, key)
			require.Equal(t, int32(10+i), st.Mark.Level)
			require.Equal(t, key == base || key == kind, st.Ceiling != nil, "%s", key)
		}
		s = reopen()
	}
}
