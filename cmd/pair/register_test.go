package pair

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/config"
	"highwater/internal/hints"
	"highwater/internal/tezos"
	"highwater/register"
	"highwater/register/registertest"
)

// unanswered makes the first record, and loses the answer.
type unanswered struct {
	register.Backend
	err error
}

func (u unanswered) Create(ctx context.Context, first []byte) (register.Entry, bool, error) {
	e, created, err := u.Backend.Create(ctx, first)
	return e, created, errors.Join(err, u.err)
}

// TestTheFirstRecordIsMadeOnceMore loses the answer of the first try. The second try finds its own record.
func TestTheFirstRecordIsMadeOnceMore(t *testing.T) {
	cfg := &config.Config{ChainID: tezos.ChainID{1}, Register: config.Register{Name: "bakery"}}
	first := func(level int32) []byte {
		return register.First(cfg.ChainID, 4, level, []register.Mark{{Kind: tezos.Block, Level: level}})
	}
	reg := registertest.New()
	_, _, err := firstRecord(t.Context(), unanswered{reg, registertest.ErrSilent}, cfg, first(100))
	require.ErrorContains(t, err, "it is not known whether the record was made: no answer")
	require.Equal(t, "highwater register init, once more, before this instance signs again", hints.Of(err))

	e, rec, err := firstRecord(t.Context(), reg, cfg, first(100))
	require.NoError(t, err)
	require.Equal(t, int32(100), rec.Horizon)
	now, err := reg.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, now, e)

	_, _, err = firstRecord(t.Context(), reg, cfg, first(101)) // this instance has signed since
	require.ErrorContains(t, err, "the record exists already, under "+cfg.RegisterKey())

	_, _, err = firstRecord(t.Context(), unanswered{reg, register.ErrRefused}, cfg, first(100))
	require.ErrorIs(t, err, register.ErrRefused)
	require.Equal(t, "see: highwater check; and docs/register.md", hints.Of(err))
}

// TestALostRecordIsNoFreshStart refuses a first record at an instance that has seen a record: an owner elsewhere may
// have signed above the marks here.
func TestALostRecordIsNoFreshStart(t *testing.T) {
	require.NoError(t, neverShared(hwm.RegisterSeen{}))
	require.NoError(t, neverShared(hwm.RegisterSeen{Cluster: 7, Epoch: 3, Detached: 1}))
	err := neverShared(hwm.RegisterSeen{Cluster: 7, Epoch: 3, Horizon: 120})
	require.ErrorContains(t, err, "has seen a record already, in epoch 3, up to level 120")
	require.Contains(t, hints.Of(err), "A register that went back")
}
