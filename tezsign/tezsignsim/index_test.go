package tezsignsim_test

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/tezsign"
	"highwater/tezsign/tezsignsim"
)

// manager is a host of the gadget's management interface.
type manager struct{ *tezsign.Manager }

func managerOf(sim *tezsignsim.Gadget) manager {
	return manager{tezsign.NewManager(tezsign.ManagerConfig{Name: "left", Open: sim.Open, Log: slog.New(slog.DiscardHandler)})}
}

var secret = []byte("secret")

// make makes keys.
func (m manager) make(t *testing.T, aliases ...string) {
	t.Helper()
	keys, err := m.NewKeys(t.Context(), aliases, secret, nil)
	require.NoError(t, err)
	for _, k := range keys {
		require.NoError(t, k.Err)
	}
}

// addresses gives a gadget's keys by their aliases.
func addresses(t *testing.T, m manager) map[string]string {
	t.Helper()
	keys, err := m.Status(t.Context())
	require.NoError(t, err)
	out := map[string]string{}
	for _, k := range keys {
		out[k.Alias] = k.PKH.String()
	}
	return out
}

// A key follows from the seed and its creation index, which is kept on the card and never used twice: neither the alias, nor deleting,
// nor a power cut brings a deleted key back.
func TestADeletedKeyIsGone(t *testing.T) {
	dir := t.TempDir()
	sim, err := tezsignsim.New(tezsignsim.Options{Dir: dir, Seed: "index"})
	require.NoError(t, err)
	m := managerOf(sim)
	require.NoError(t, m.Init(t.Context(), true, secret))
	m.make(t, "a", "b", "c")
	first := addresses(t, m)
	_, err = m.Delete(t.Context(), []string{"b", "c"}, secret)
	require.NoError(t, err)
	require.NoError(t, sim.PowerCycle())
	m.make(t, "c")
	require.NoError(t, sim.Close())

	sim, err = tezsignsim.New(tezsignsim.Options{Dir: dir, Seed: "index"}) // another process, the same card
	require.NoError(t, err)
	defer func() { require.NoError(t, sim.Close()) }()
	m = managerOf(sim)
	m.make(t, "b")
	second := addresses(t, m)
	require.Equal(t, first["a"], second["a"])
	require.NotEqual(t, first["b"], second["b"])
	require.NotEqual(t, first["c"], second["c"])
	require.NotEqual(t, first["b"], second["c"])

	// The order counts and the names do not: another gadget of the seed has the same keys under other names.
	twin, err := tezsignsim.New(tezsignsim.Options{Seed: "index", Keys: []string{"x", "y", "z", "four", "five"}})
	require.NoError(t, err)
	defer func() { require.NoError(t, twin.Close()) }()
	other := addresses(t, managerOf(twin))
	require.Equal(t, first["a"], other["x"])
	require.Equal(t, first["b"], other["y"])
	require.Equal(t, second["c"], other["four"])
	require.Equal(t, second["b"], other["five"])
}
