package bringup

import (
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/checklist"
	"highwater/internal/tezos"
	"highwater/operate"
	"highwater/register"
)

// TestTheKeysOfTheRecord: each key of the record must be here.
func TestTheKeysOfTheRecord(t *testing.T) {
	first, second := tezos.PublicKeyHash{Hash: [20]byte{1}}, tezos.PublicKeyHash{Hash: [20]byte{2}}
	st := &operate.Status{Register: &register.View{}}
	_, known := sharedKeys(st)
	require.False(t, known, "a record without marks names no key")

	st.Register.Keys = []tezos.PublicKeyHash{first, second}
	st.Keys = []operate.KeyRow{{}, {}}
	st.Keys[0].PKH = first
	f, known := sharedKeys(st)
	require.True(t, known)
	require.Equal(t, checklist.Bad, f.Result)
	require.Contains(t, f.Detail, second.String())
	require.NotContains(t, f.Detail, first.String())

	st.Keys[1].PKH = second
	f, _ = sharedKeys(st)
	require.Equal(t, checklist.OK, f.Result)
}

// TestTheMarksOfARegister: a missing mark keeps a machine from being ready.
func TestTheMarksOfARegister(t *testing.T) {
	require.Equal(t, checklist.Waiting, sharedMarks(1, "2 marks").Result)
	require.Equal(t, checklist.OK, sharedMarks(0, "3 marks").Result)
}

// TestTheCostOfATakeover: without a person, or by hand.
func TestTheCostOfATakeover(t *testing.T) {
	require.Contains(t, costOfTakeover(3, true).Detail, "3 levels (18s)")
	require.Equal(t, checklist.Warning, costOfTakeover(3, false).Result)
}
