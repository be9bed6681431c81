package api_test

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/tezos"
	"highwater/tezsign"
)

// gadgetManager is another program at the rig's gadget.
func (r *rig) gadgetManager() *tezsign.Manager {
	return tezsign.NewManager(tezsign.ManagerConfig{
		Name: "other", Open: r.gadget.Open, Log: slog.New(slog.DiscardHandler),
	})
}

// After an activation the gadget stands at the host's marks at once, and not at its next connection.
func TestActivationRaisesTheGadget(t *testing.T) {
	r := newRig(t).activate()
	keys, err := r.gadgetManager().Status(t.Context())
	require.NoError(t, err)
	for _, m := range keys[0].Marks {
		require.EqualValues(t, floor, m.Level, m.Kind)
	}
}

// A ready key of a gadget is not shown with the advice about another one that is locked.
func TestAdviceIsAboutTheKeyItStandsBeside(t *testing.T) {
	r := newRig(t)
	secret := []byte("simulated")
	_, err := r.devices[1].(*tezsign.Device).NewKeys(t.Context(), []string{"companion"}, secret, nil)
	require.NoError(t, err)
	r.signer.Learn()
	rows, err := r.admin.Keys(t.Context())
	require.NoError(t, err)
	advice := map[string]string{}
	for _, row := range rows {
		if row.PKH.Curve == tezos.BLS12381 {
			advice[row.Alias] = row.Health + ": " + row.Advice
		}
	}
	require.Equal(t, map[string]string{"consensus": "ready: ", "companion": "locked: highwater tezsign unlock companion"},
		advice)
}
