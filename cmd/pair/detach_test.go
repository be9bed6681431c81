package pair

import (
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/register"
	"highwater/register/registertest"
	"highwater/store"
)

var group = tezos.ChainID{'t', 'e', 's', 't'}

// memory is what an owner has seen of the register.
type memory struct{ seen register.Seen }

func (m *memory) Seen() register.Seen           { return m.seen }
func (m *memory) SetSeen(s register.Seen) error { m.seen = s; return nil }

// owned is a register with an owner at level 1000.
func owned(t *testing.T, owner hwm.InstanceID) (*registertest.Register, *register.Right) {
	t.Helper()
	backend := registertest.New()
	_, created, err := backend.Create(t.Context(), register.First(group, 1, 1000, nil))
	require.NoError(t, err)
	require.True(t, created)
	right := register.New(register.Config{
		Backend: backend, Memory: &memory{}, Chain: group, Me: owner, Life: register.NewLife(), Ahead: 3,
	})
	_, err = right.Acquire(t.Context(), 1000, func(register.Record) error { return nil })
	require.NoError(t, err)
	return backend, right
}

// TestNobodyDetachesFromALivingOwner: an owner elsewhere that moves its horizon once a level, for two levels of mainnet.
func TestNobodyDetachesFromALivingOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend, right := owned(t, hwm.InstanceID{7})
		var chain sync.WaitGroup
		chain.Go(func() {
			for level := int32(1001); level < 1003; level++ {
				<-time.After(6 * time.Second)
				_, err := right.Extend(t.Context(), level)
				require.NoError(t, err)
			}
		})
		rec, err := lastRecord(t.Context(), backend, hwm.InstanceID{8})
		require.ErrorIs(t, err, errLives)
		require.Equal(t, int32(1004), rec.Horizon)
		chain.Wait()
	})
}

// TestADeadOwnersRecord gives the horizon of an owner that moves no more, after a wait; the own record and a released
// record at once; and the failure of a register that does not answer.
func TestADeadOwnersRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend, right := owned(t, hwm.InstanceID{7})
		begin := time.Now()
		rec, err := lastRecord(t.Context(), backend, hwm.InstanceID{8})
		require.NoError(t, err)
		require.Equal(t, int32(1003), rec.Horizon)
		require.Equal(t, livingWait, time.Since(begin))

		begin = time.Now()
		_, err = lastRecord(t.Context(), backend, hwm.InstanceID{7})
		require.NoError(t, err)
		_, err = right.Release(t.Context(), hwm.InstanceID{}, nil)
		require.NoError(t, err)
		rec, err = lastRecord(t.Context(), backend, hwm.InstanceID{8})
		require.NoError(t, err)
		require.True(t, rec.Released())
		require.Zero(t, time.Since(begin))

		backend.Silent = true
		_, err = lastRecord(t.Context(), backend, hwm.InstanceID{8})
		require.ErrorIs(t, err, registertest.ErrSilent)
	})
}

// TestDetachFloor: the floor is above all that an owner may have signed, whichever of the sources is the newest.
func TestDetachFloor(t *testing.T) {
	for name, c := range map[string]struct {
		seen, last, head, ahead, want int32
	}{
		"the head":           {seen: 5, last: 6, head: 1000, ahead: 3, want: 1013},
		"an owner far ahead": {seen: 5, last: 0, head: 1000, ahead: 100, want: 1110},
		"the memory":         {seen: 2000, last: 1500, head: 1000, ahead: 3, want: 2010},
		"the register":       {seen: 1500, last: 2000, head: 1000, ahead: 3, want: 2010},
		"the end of levels":  {head: 1<<31 - 2, ahead: 100, want: 1<<31 - 1},
	} {
		got := detachFloor(hwm.RegisterSeen{Horizon: c.seen}, register.Record{Horizon: c.last}, c.head, c.ahead)
		require.Equal(t, c.want, got, name)
	}
}

// TestLeaveRegister: each mark here rises to the floor, and no mark falls; a key of the record gets a mark; the role is
// standby, and a fence stays.
func TestLeaveRegister(t *testing.T) {
	for _, fenced := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "state")
		require.NoError(t, store.Create(t.Context(), dir, time.Now()))
		db, err := store.Open(t.Context(), dir, store.Options{})
		require.NoError(t, err)
		here := hwm.Key{Chain: group, PKH: tezos.PublicKeyHash{Curve: tezos.Ed25519, Hash: [20]byte{1}}, Kind: tezos.Block}
		far, there, foreign := here, here, here
		far.Kind, there.PKH.Hash, foreign.Chain = tezos.Attestation, [20]byte{2}, tezos.ChainID{1}
		at := func(level int32) hwm.Mark { return hwm.Floor(level, time.Now(), hwm.SourceSet) }
		rows := []hwm.Row{{Key: here, Mark: at(1000)}, {Key: far, Mark: at(9000)}, {Key: foreign, Mark: at(7)}}
		first := hwm.RoleRecord{Role: hwm.Active, Epoch: 4, Owner: db.Instance()}
		require.NoError(t, db.SetRole(first, rows))
		if fenced {
			first.Role, first.Why = hwm.Fenced, "a second signer"
			require.NoError(t, db.SetRole(first, nil))
		}
		last := register.Record{Marks: []register.Mark{{PKH: there.PKH, Kind: there.Kind, Level: 1500}}}
		require.NoError(t, leaveRegister(db, group, last, 2010))

		levels := map[hwm.Key]int32{}
		got, err := db.Rows()
		require.NoError(t, err)
		for _, r := range got {
			levels[r.Key] = r.Level
		}
		require.Equal(t, map[hwm.Key]int32{here: 2010, there: 2010, far: 9000, foreign: 7}, levels)
		require.NotZero(t, db.RegisterSeen().Detached)
		role := db.Role()
		require.Equal(t, map[bool]hwm.Role{false: hwm.Standby, true: hwm.Fenced}[fenced], role.Role)
		require.Equal(t, fenced, role.Why == "a second signer")
		require.NoError(t, db.Close())
	}
}
