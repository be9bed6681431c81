package storetest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
)

func roles(t *testing.T, open Open) {
	s, reopen := open(t)
	first := s.Role()
	require.Equal(t, hwm.Standby, first.Role, "a new store signs nothing")
	require.Equal(t, s.Instance(), first.Owner)

	active := hwm.RoleRecord{Role: hwm.Active, Epoch: first.Epoch + 1, Owner: s.Instance(), Since: at, Why: "here we go"}
	for _, wrong := range []hwm.RoleRecord{
		{Role: hwm.Active, Epoch: first.Epoch, Owner: s.Instance()},          // to become active takes a higher epoch
		{Role: 0, Epoch: first.Epoch + 1}, {Role: 9, Epoch: first.Epoch + 1}, // no role
	} {
		require.Error(t, s.SetRole(wrong, nil))
		require.Equal(t, first, s.Role())
	}
	require.NoError(t, s.SetRole(active, nil))
	require.Equal(t, active, s.Role())
	s = reopen()
	require.Equal(t, active, s.Role())

	fenced := hwm.RoleRecord{
		Role: hwm.Fenced, Epoch: active.Epoch, Owner: active.Owner, Since: at,
		Why: strings.Repeat("long ", 500),
	}
	require.NoError(t, s.SetRole(fenced, nil))
	require.LessOrEqual(t, len(s.Role().Why), hwm.MaxWhy)
	require.ErrorIs(t, s.SetRole(active, nil), hwm.ErrEpoch, "a fenced instance came back by itself")
	// An active instance takes no other owner in its epoch; one that does not sign may yield to another claim.
	claimed := fenced
	claimed.Owner, claimed.Role = hwm.InstanceID{1}, hwm.Active
	require.ErrorIs(t, s.SetRole(claimed, nil), hwm.ErrEpoch)
	claimed.Role = hwm.Standby
	require.NoError(t, s.SetRole(claimed, nil))
	require.Equal(t, claimed.Owner, s.Role().Owner)
	older := active
	older.Epoch--
	older.Role = hwm.Standby
	require.ErrorIs(t, s.SetRole(older, nil), hwm.ErrEpoch)
	want := s.Role()
	s = reopen()
	require.Equal(t, want, s.Role())
	require.ErrorIs(t, s.SetRole(active, nil), hwm.ErrEpoch)
}

func roleFloors(t *testing.T, open Open) {
	s, reopen := open(t)
	low, high, made := Key(1, tezos.Block), Key(2, tezos.Block), Key(3, tezos.Block)
	Floor(t, s, 10, low, high)
	require.NoError(t, Advance(s, high, Mark(50, 0, 1)))
	floor := func(level int32, keys ...hwm.Key) (rows []hwm.Row) {
		for _, k := range keys {
			rows = append(rows, hwm.Row{Key: k, Mark: hwm.Floor(level, at, hwm.SourceTakeover)})
		}
		return rows
	}
	// A refusal, for the role or for a floor, changes neither.
	before := s.Role()
	wrongEpoch := hwm.RoleRecord{Role: hwm.Active, Epoch: before.Epoch, Owner: s.Instance(), Since: at}
	require.ErrorIs(t, s.SetRole(wrongEpoch, floor(20, low)), hwm.ErrEpoch)
	next := wrongEpoch
	next.Epoch++
	require.Error(t, s.SetRole(next, append(floor(20, low), floor(-5, made)...)))
	for range 2 {
		require.Equal(t, before, s.Role())
		require.Equal(t, int32(10), markOf(t, s, low).Level)
		require.Nil(t, state(t, s, made).Mark)
		s = reopen()
	}
	require.NoError(t, s.SetRole(next, floor(20, low, high, made)))
	for range 2 {
		require.Equal(t, next, s.Role())
		require.Equal(t, int32(20), markOf(t, s, low).Level)
		require.Equal(t, int32(50), markOf(t, s, high).Level, "a floor lowered a mark")
		require.Equal(t, int32(20), markOf(t, s, made).Level)
		s = reopen()
	}
}

// roleCeilings changes ceilings with the role: all or nothing, and no ceiling below a signature.
func roleCeilings(t *testing.T, open Open) {
	s, reopen := open(t)
	key, other := Key(1, tezos.Block), Key(2, tezos.Block)
	Floor(t, s, 10, key, other)
	at10 := hwm.CeilingKey{Chain: key.Chain, PKH: key.PKH}
	set := func(level int32) hwm.CeilingChange {
		return hwm.CeilingChange{Key: at10, Ceiling: &hwm.Ceiling{Level: level, At: at, Source: hwm.SourcePeer}}
	}
	next := hwm.RoleRecord{
		Role: hwm.Active, Epoch: s.Role().Epoch + 1, Owner: hwm.InstanceID{7}, Since: at,
		Why: "by level",
	}
	before := s.Role()
	require.ErrorIs(t, s.SetRole(next, nil, set(9)), hwm.ErrMoved, "a ceiling below a possible signature")
	require.Error(t, s.SetRole(next, nil, set(-1)))
	require.Equal(t, before, s.Role())
	require.Empty(t, s.Ceilings())

	require.NoError(t, s.SetRole(next, nil, set(20)))
	for range 2 {
		require.Equal(t, next, s.Role())
		require.Equal(t, int32(20), s.Ceilings()[at10].Level)
		require.ErrorIs(t, Advance(s, key, Mark(21, 0, 1)), hwm.ErrMoved)
		s = reopen()
	}
	require.NoError(t, Advance(s, key, Mark(20, 0, 1)))
	next.Epoch++
	require.ErrorIs(t, s.SetRole(next, nil, set(30)), hwm.ErrMoved, "a ceiling rose by being set")
	require.NoError(t, s.SetRole(next, nil, hwm.CeilingChange{Key: at10},
		hwm.CeilingChange{Key: hwm.CeilingKey{Chain: key.Chain, PKH: other.PKH}}))
	for range 2 {
		require.Empty(t, s.Ceilings())
		s = reopen()
	}
	require.NoError(t, Advance(s, key, Mark(21, 0, 1)))
}

func identity(t *testing.T, open Open) {
	s, reopen := open(t)
	id := s.Instance()
	require.NotZero(t, id)
	require.Equal(t, id, reopen().Instance())
	other, _ := open(t)
	require.NotEqual(t, id, other.Instance())
}

func knownKeys(t *testing.T, open Open) {
	s, reopen := open(t)
	require.Empty(t, s.KnownKeys())
	want := map[tezos.PublicKeyHash]hwm.KnownKey{}
	for i, curve := range []tezos.Curve{tezos.Ed25519, tezos.Secp256k1, tezos.P256} {
		k, err := softkey.New(curve, bytes.Repeat([]byte{byte(i)}, softkey.MinSeed))
		require.NoError(t, err)
		known := hwm.KnownKey{PublicKey: k.PublicKey().String(), Alias: "alias", Device: "left"}
		require.NoError(t, s.RememberKey(known))
		known.Alias = "another"
		require.NoError(t, s.RememberKey(known))
		require.NoError(t, s.RememberKey(known))
		want[k.PublicKey().Hash()] = known
	}
	require.Error(t, s.RememberKey(hwm.KnownKey{PublicKey: "edpk"}))
	require.Error(t, s.RememberKey(hwm.KnownKey{}))
	require.Equal(t, want, s.KnownKeys())
	clear(s.KnownKeys())
	s = reopen()
	require.Equal(t, want, s.KnownKeys(), "the caller's map is the store's")
	for pkh, k := range want {
		got, ok := s.KnownKey(pkh)
		require.True(t, ok)
		require.Equal(t, k, got)
	}
	_, ok := s.KnownKey(Key(9, tezos.Block).PKH)
	require.False(t, ok)
	rows, err := s.Rows()
	require.NoError(t, err)
	require.Empty(t, rows, "a known key has a mark")
}

func seen(t *testing.T, open Open) {
	s, reopen := open(t)
	pkh := Key(1, tezos.Block).PKH
	_, ok := s.Seen("left", pkh, 0)
	require.False(t, ok)
	require.NoError(t, s.SetSeen("left", pkh, 0, hwm.Position{}))
	p, ok := s.Seen("left", pkh, 0)
	require.True(t, ok, "seen at zero is seen")
	require.Zero(t, p)
	for _, p := range []hwm.Position{{Level: 5, Round: 1}, {Level: 4}} { // lower, too: it is a fact about the device
		require.NoError(t, s.SetSeen("left", pkh, 0, p))
		require.NoError(t, s.SetSeen("left", pkh, tezos.Block, hwm.Position{Level: 70}))
		require.NoError(t, s.SetSeen("right/odd", pkh, 0, hwm.Position{Level: 80}))
		for range 2 {
			got, ok := s.Seen("left", pkh, 0)
			require.True(t, ok)
			require.Equal(t, p, got)
			s = reopen()
		}
	}
	got, _ := s.Seen("left", pkh, tezos.Block)
	require.Equal(t, int32(70), got.Level)
	got, _ = s.Seen("right/odd", pkh, 0)
	require.Equal(t, int32(80), got.Level)
	each := map[string]int32{}
	s.EachSeen(func(device string, of tezos.PublicKeyHash, kind tezos.Kind, p hwm.Position) {
		require.Equal(t, pkh, of)
		each[fmt.Sprint(device, " ", uint8(kind))] = p.Level
	})
	require.Equal(t, map[string]int32{"left 0": 4, fmt.Sprint("left ", uint8(tezos.Block)): 70, "right/odd 0": 80}, each)
}

func alarms(t *testing.T, open Open) {
	s, reopen := open(t)
	require.Empty(t, s.Alarms())
	one := hwm.Alarm{
		ID: 7, Name: "rollback", Witness: "device 1", About: Key(1, tezos.Block).PKH.String(), Text: "look",
		Hint: "there", Since: at,
	}
	two := hwm.Alarm{ID: 8, Name: "twin", Witness: "chain", Text: "look again", Since: at}
	require.NoError(t, s.SetAlarms([]hwm.Alarm{one, two}))
	s = reopen()
	require.Equal(t, []hwm.Alarm{one, two}, s.Alarms())
	require.NoError(t, s.SetAlarms([]hwm.Alarm{two}))
	given := s.Alarms()
	given[0].Text = "changed by the receiver"
	require.Equal(t, []hwm.Alarm{two}, s.Alarms())

	many := make([]hwm.Alarm, 0, 2*hwm.MaxAlarms)
	for i := range cap(many) {
		a := one
		a.ID, a.Text = uint64(i), strings.Repeat("é", hwm.MaxAlarmText/2)
		many = append(many, a)
	}
	require.NoError(t, s.SetAlarms(many))
	s = reopen()
	require.Equal(t, many[hwm.MaxAlarms:], s.Alarms(), "the last ones")
	require.NoError(t, s.SetAlarms(nil))
	s = reopen()
	require.Empty(t, s.Alarms())
}
