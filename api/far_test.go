package api_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/tezos"
	"highwater/operate"
)

// A key that never signed and has no mark is a note: making one on a device does not turn a signer red that signs well.
// Without any key in service, and for a key that lacks one of its marks, it is a reason.
func TestAKeyThatNeverSignedIsANote(t *testing.T) {
	r := newRig(t)
	st, err := r.admin.Status(t.Context())
	require.NoError(t, err)
	require.Empty(t, st.Notes)
	require.True(t, slices.ContainsFunc(st.NotReady, func(s string) bool { return len(s) > 6 && s[:6] == "marks:" }), "%v",
		st.NotReady)

	fresh := r.keys[tezos.BLS12381].Hash()
	var served []tezos.PublicKeyHash
	for _, k := range r.keys {
		if k.Hash() != fresh {
			served = append(served, k.Hash())
		}
	}
	_, err = r.admin.Raise(t.Context(), operate.RaiseRequest{PKHs: served, Level: floor})
	require.NoError(t, err)
	reasons := func() (marks []string, notes []string) {
		st, err = r.admin.Status(t.Context())
		require.NoError(t, err)
		for _, no := range st.NotReady {
			if no[:5] == "marks" {
				marks = append(marks, no)
			}
		}
		return marks, st.Notes
	}
	marks, notes := reasons()
	require.Empty(t, marks)
	require.Len(t, notes, 1)
	require.Contains(t, notes[0], fresh.String())
	require.Contains(t, notes[0], "highwater hwm set")
	_, err = r.admin.Raise(t.Context(), operate.RaiseRequest{
		PKHs: []tezos.PublicKeyHash{fresh}, Kinds: []tezos.Kind{tezos.Block}, Level: floor,
	})
	require.NoError(t, err)
	marks, notes = reasons()
	require.Len(t, marks, 1)
	require.Empty(t, notes)
}
