package tezsign_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/hints"
	"highwater/tezsign"
	"highwater/tezsign/tezsignsim"
)

// An alias is folded as the gadget folds it, so that an answer about "test" belongs to a request for "Test"; what the
// gadget would not take is refused before anything is sent.
func TestAliasesAreFoldedAsTheGadgetDoes(t *testing.T) {
	sim := newSim(t, tezsignsim.Options{Serial: "ts-1"})
	m := tezsign.NewManager(tezsign.ManagerConfig{Name: "left", Open: sim.Open, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, m.Init(t.Context(), true, []byte("secret")))
	made, err := m.NewKeys(t.Context(), []string{" Test ", "TEST", "other"}, []byte("secret"), nil)
	require.NoError(t, err)
	require.Len(t, made, 2, "one key named twice is made once")
	require.Equal(t, "test", made[0].Alias)
	require.NoError(t, made[0].Err)

	results, err := m.Unlock(t.Context(), []string{"TEST"}, []byte("secret"))
	require.NoError(t, err)
	require.Equal(t, []tezsign.KeyResult{{Alias: "test"}}, results)
	require.NoError(t, m.SetLevel(t.Context(), "Test", 5, tezsign.LevelOptions{HostMark: -1}))
	results, err = m.Lock(t.Context(), []string{"tESt"})
	require.NoError(t, err)
	require.Equal(t, []tezsign.KeyResult{{Alias: "test"}}, results)
	results, err = m.Delete(t.Context(), []string{"Test"}, []byte("secret"))
	require.NoError(t, err)
	require.Equal(t, []tezsign.KeyResult{{Alias: "test"}}, results)
	keys, err := m.Status(t.Context())
	require.NoError(t, err)
	require.Len(t, keys, 1)
	require.Equal(t, "other", keys[0].Alias)
}

func TestAliasesThatNoGadgetTakes(t *testing.T) {
	sim := newSim(t, tezsignsim.Options{Serial: "ts-1"})
	m := tezsign.NewManager(tezsign.ManagerConfig{Name: "left", Open: sim.Open, Log: slog.New(slog.DiscardHandler)})
	secret := []byte("secret")
	for _, alias := range []string{"", "  ", "no spaces!", "a.b", "schlüssel", strings.Repeat("x", 65), "a\nb"} {
		refused := map[string]error{}
		_, refused["new"] = m.NewKeys(t.Context(), []string{"good", alias}, secret, nil)
		_, refused["unlock"] = m.Unlock(t.Context(), []string{alias}, secret)
		_, refused["lock"] = m.Lock(t.Context(), []string{alias})
		_, refused["delete"] = m.Delete(t.Context(), []string{alias}, secret)
		refused["set-level"] = m.SetLevel(t.Context(), alias, 5, tezsign.LevelOptions{})
		for verb, err := range refused {
			var ae *tezsign.AliasError
			require.ErrorAs(t, err, &ae, "%s %q", verb, alias)
			require.Contains(t, hints.Of(err), "1 to 64")
		}
	}
	require.Zero(t, sim.Received(tezsign.ManageInterface), "nothing was sent")
	_, err := tezsign.FoldAlias(strings.Repeat("x", 64))
	require.NoError(t, err)
}

// The gadget tells by the name of a missing file that it has no seed. The text is a recorded one.
func TestNewBeforeInitSaysInit(t *testing.T) {
	sim := newSim(t, tezsignsim.Options{StorePath: "/run/ts0/data/keystore"})
	m := tezsign.NewManager(tezsign.ManagerConfig{Name: "left", Open: sim.Open, Log: slog.New(slog.DiscardHandler)})
	made, err := m.NewKeys(t.Context(), []string{"early"}, []byte("correct horse battery"), nil)
	require.NoError(t, err)
	require.ErrorIs(t, made[0].Err, tezsign.ErrNotInitialised)
	require.Contains(t, made[0].Err.Error(), "highwater tezsign init")
	require.Contains(t, made[0].Err.Error(), "open /run/ts0/data/keystore/seed.bin: no such file or directory")
}
