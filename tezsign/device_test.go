package tezsign_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/tezsign/tezsignsim"
)

func TestSignsEachKindWithTwoKeys(t *testing.T) {
	sim := newSim(t, tezsignsim.Options{Serial: "ts-1", Keys: []string{"consensus", "companion"}})
	l := start(t, sim)
	for level := range int32(20) {
		for _, kind := range tezos.Kinds {
			err := l.sign("consensus", payload(kind, level+1, 0, 0))
			require.NoError(t, err)
		}
		err := l.sign("companion", payload(tezos.Attestation, level+1, 0, 0))
		require.NoError(t, err)
	}
	st := l.Status()
	require.Equal(t, device.Ready, st.Health)
	require.Equal(t, "ts-1", st.ID)
	require.Equal(t, "TezSign", st.Model)
	require.Empty(t, st.Advice)
	require.Len(t, sim.Signatures(), 80)
}
