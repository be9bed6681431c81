package register_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/register"
	"highwater/register/registertest"
)

// TestARegisterThatWentBack lets an instance that has seen more look at a register that says less, in each way in which
// it can.
func TestARegisterThatWentBack(t *testing.T) {
	reg := registertest.New()
	e, _, err := reg.Create(t.Context(), register.First(chain, 4, 100, nil))
	require.NoError(t, err)
	now := register.Seen{Cluster: e.Version.Cluster, Revision: e.Version.Revision, Epoch: 5, Horizon: 100}
	for name, more := range map[string]func(*register.Seen){
		"another cluster": func(s *register.Seen) { s.Cluster++ },
		"a revision less": func(s *register.Seen) { s.Revision++ },
		"an epoch less":   func(s *register.Seen) { s.Epoch++ },
		"a level less":    func(s *register.Seen) { s.Horizon++ },
	} {
		m := &machine{id: hwm.InstanceID{1}, seen: now}
		more(&m.seen)
		r := register.New(register.Config{Backend: reg, Memory: m, Chain: chain, Me: m.id, Life: "1", Ahead: ahead})
		_, err = r.Read(t.Context())
		require.ErrorIs(t, err, register.ErrOlder, name)
		_, err = r.Acquire(t.Context(), 100, func(register.Record) error { return nil })
		require.ErrorIs(t, err, register.ErrOlder, name)
	}
	m := &machine{id: hwm.InstanceID{1}, seen: now}
	m.seen.Aside = "kept"
	r := register.New(register.Config{Backend: reg, Memory: m, Chain: chain, Me: m.id, Life: "1", Ahead: ahead})
	_, err = r.Acquire(context.Background(), 100, func(register.Record) error { return nil })
	require.NoError(t, err)
	require.Equal(t, "kept", m.seen.Aside)
	require.Equal(t, uint64(6), m.seen.Epoch)
}

// owner is a right that has a record.
func owner(t *testing.T) (*registertest.Register, *register.Right) {
	t.Helper()
	reg := registertest.New()
	_, _, err := reg.Create(t.Context(), register.First(chain, 0, 100, nil))
	require.NoError(t, err)
	m := &machine{id: hwm.InstanceID{1}}
	r := register.New(register.Config{Backend: reg, Memory: m, Chain: chain, Me: m.id, Life: "1", Ahead: ahead})
	_, err = r.Acquire(t.Context(), 100, func(register.Record) error { return nil })
	require.NoError(t, err)
	return reg, r
}

func TestNothingIsSignedUnderAFence(t *testing.T) {
	_, r := owner(t)
	_, _, ok := r.May(key, 0x12)
	require.True(t, ok)
	r.Fence()
	_, _, ok = r.May(key, 0x12)
	require.False(t, ok)
	_, err := r.Extend(t.Context(), 101)
	require.NoError(t, err)
	_, _, ok = r.May(key, 0x12)
	require.False(t, ok, "an extension lifts no fence")
}

func TestAReleaseWithoutAnAnswer(t *testing.T) {
	reg, r := owner(t)
	reg.Fault = func() registertest.Fault { return registertest.Late }
	_, err := r.Release(t.Context(), hwm.InstanceID{}, nil)
	require.ErrorIs(t, err, register.ErrUnsettled)
	require.True(t, r.Unsettled())
	reg.Fault = nil
	_, err = r.Extend(t.Context(), 110)
	require.ErrorIs(t, err, register.ErrLost, "an extension after a release")
	_, err = r.Read(t.Context())
	require.NoError(t, err)
	_, _, ok := r.May(key, 0x12)
	require.False(t, ok, "the release may be applied at any later time")
	rec, err := r.Settle(t.Context())
	require.NoError(t, err)
	require.True(t, rec.Released())
	require.False(t, reg.ApplyLate(0), "what was late is void once the release was made again")
}

// TestAReleaseKeepsTheFloors lets an owner release with marks below the floors of its acquisition: an earlier
// owner may have signed up to the floors.
func TestAReleaseKeepsTheFloors(t *testing.T) {
	reg := registertest.New()
	first := register.First(chain, 0, 100, []register.Mark{{PKH: key, Kind: 0x12, Level: 90, Round: 1}})
	_, _, err := reg.Create(t.Context(), first)
	require.NoError(t, err)
	m := &machine{id: hwm.InstanceID{1}}
	r := register.New(register.Config{Backend: reg, Memory: m, Chain: chain, Me: m.id, Life: "1", Ahead: ahead})
	_, err = r.Acquire(t.Context(), 100, func(register.Record) error { return nil })
	require.NoError(t, err)
	rec, err := r.Release(t.Context(), hwm.InstanceID{}, []register.Mark{
		{PKH: key, Kind: 0x12, Level: 80}, {PKH: key, Kind: 0x13, Level: 50},
	})
	require.NoError(t, err)
	floor := hwm.Position{Level: 100, Round: hwm.MaxRound}
	require.Equal(t, floor, rec.FloorOf(key, 0x12), "a key of the record: nobody knows how far its owner came")
	require.Equal(t, floor, rec.FloorOf(key, 0x13), "another key: the floor of the acquisition")
}

func FuzzParse(f *testing.F) {
	f.Add(register.First(chain, 4, 100, []register.Mark{{PKH: key, Kind: 0x12, Level: 101}}))
	f.Add([]byte(`{"format":1}`))
	f.Add(bytes.Replace(register.First(chain, 4, 100, nil), []byte(`"life":""`),
		[]byte(`"life":"7:`+strings.Repeat("A", 42)+`E"`), 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := register.Parse(b)
		if err != nil {
			require.ErrorIs(t, err, register.ErrUnreadable)
			return
		}
		require.GreaterOrEqual(t, r.Horizon, r.Floor)
		require.GreaterOrEqual(t, r.Floor, int32(0))
		if h := r.AuditHead(); h != nil {
			require.True(t, h.Sound())
			require.True(t, r.Released())
		}
	})
}

// forgetful is a memory on a disk that fails.
type forgetful struct {
	*machine
	err error
}

func (f forgetful) SetSeen(register.Seen) error { return f.err }

// TestNothingIsSignedBeforeItIsRemembered lets the disk fail: a right that this instance would forget is no right.
func TestNothingIsSignedBeforeItIsRemembered(t *testing.T) {
	reg := registertest.New()
	_, _, err := reg.Create(t.Context(), register.First(chain, 0, 100, nil))
	require.NoError(t, err)
	m := forgetful{&machine{id: hwm.InstanceID{1}}, errors.New("disk full")}
	r := register.New(register.Config{Backend: reg, Memory: m, Chain: chain, Me: m.id, Life: "1", Ahead: ahead})
	_, err = r.Acquire(t.Context(), 100, func(register.Record) error { return nil })
	require.ErrorContains(t, err, "disk full")
	_, _, ok := r.May(key, 0x12)
	require.False(t, ok)
}

func TestParseRefuses(t *testing.T) {
	good := string(register.First(chain, 4, 100, nil))
	_, err := register.Parse([]byte(good))
	require.NoError(t, err)
	for what, text := range map[string]string{
		"a horizon below its floor": strings.Replace(good, `"horizon":100`, `"horizon":99`, 1),
		"an unknown field":          strings.Replace(good, `{`, `{"lease":1,`, 1),
		"a second value":            good + "{}",
		"another format":            strings.Replace(good, `"format":1`, `"format":2`, 1),
		"no nonce":                  strings.Replace(good, `"nonce":"`, `"nonce":"","life":"`, 1),
		"nothing":                   "",
	} {
		require.NotEqual(t, good, text)
		_, err := register.Parse([]byte(text))
		require.ErrorIs(t, err, register.ErrUnreadable, what)
	}
}

func TestARecordOfAnotherChain(t *testing.T) {
	reg := registertest.New()
	_, _, err := reg.Create(t.Context(), register.First(tezos.ChainID{9}, 0, 100, nil))
	require.NoError(t, err)
	m := &machine{id: hwm.InstanceID{1}}
	r := register.New(register.Config{Backend: reg, Memory: m, Chain: chain, Me: m.id, Life: "1", Ahead: ahead})
	_, err = r.Acquire(t.Context(), 100, func(register.Record) error { return nil })
	require.ErrorIs(t, err, register.ErrUnreadable)
	require.ErrorContains(t, err, "the record is for chain")
	require.Zero(t, m.seen, "another chain's record was remembered")
}

// TestTheNextOwnerBeginsAboveTheExactMarks takes a released right: a round more at the same level is free.
func TestTheNextOwnerBeginsAboveTheExactMarks(t *testing.T) {
	reg := registertest.New()
	first := register.First(chain, 0, 100, []register.Mark{{PKH: key, Kind: 0x12, Level: 101, Round: 1}})
	_, _, err := reg.Create(t.Context(), first)
	require.NoError(t, err)
	m := &machine{id: hwm.InstanceID{1}}
	r := register.New(register.Config{Backend: reg, Memory: m, Chain: chain, Me: m.id, Life: "1", Ahead: ahead})
	_, err = r.Acquire(t.Context(), 101, func(register.Record) error { return nil })
	require.NoError(t, err)
	floor, _, _ := r.May(key, 0x12)
	require.Equal(t, hwm.Position{Level: 101, Round: 1}, floor)
	floor, _, _ = r.May(key, 0x13)
	require.Equal(t, hwm.Position{Level: 101, Round: hwm.MaxRound}, floor, "a kind without a mark")
}
