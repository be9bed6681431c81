package tezsignsim_test

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/tezsign"
	pb "highwater/tezsign/tezsignpb"
	"highwater/tezsign/tezsignsim"
)

// manager is a host of the gadget's management interface.
type manager struct{ *tezsign.Manager }

func managerOf(sim *tezsignsim.Gadget) manager {
	return manager{tezsign.NewManager(tezsign.ManagerConfig{
		Name: "left", Open: sim.Open, Log: slog.New(slog.DiscardHandler),
	})}
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

// A key follows from the seed and its creation index, which is kept on the card and never used twice: neither the
// alias, nor deleting, nor a power cut brings a deleted key back.
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

func newKeysRequest(ids ...string) *pb.Request {
	return &pb.Request{Body: &pb.Request_NewKeys{NewKeys: &pb.KeysWithPassphrase{KeyIds: ids, Passphrase: secret}}}
}

// Aliases are folded in every request; without an alias a counter gives the name, which goes on when a key was deleted.
func TestAliases(t *testing.T) {
	g := newGadget(t, tezsignsim.Options{Passphrase: string(secret)})
	w := claimBoth(t, g)[1]
	early := w.ask(t, newKeysRequest()).GetNewKeys().GetResults()[0]
	require.Contains(t, early.GetError(), "seed.bin: no such file or directory")
	early = w.ask(t, newKeysRequest("early")).GetNewKeys().GetResults()[0]
	require.Contains(t, early.GetError(), "seed.bin: no such file or directory")
	init := &pb.InitMaster{Deterministic: true, Passphrase: secret}
	require.True(t, w.ask(t, &pb.Request{Body: &pb.Request_InitMaster{InitMaster: init}}).GetOk().GetOk())

	made := func(ids ...string) *pb.NewKeyResult {
		return w.ask(t, newKeysRequest(ids...)).GetNewKeys().GetResults()[0]
	}
	require.Equal(t, "test", made(" Test").GetKeyId())
	require.Equal(t, "key_id already exists", made("TEST").GetError())
	require.Equal(t, "invalid key_id", made("a.b").GetError())
	require.Equal(t, "key1", made().GetKeyId())
	require.Equal(t, "key2", made().GetKeyId())
	del := &pb.KeysWithPassphrase{KeyIds: []string{"KEY2"}, Passphrase: secret}
	deleted := w.ask(t, &pb.Request{Body: &pb.Request_DeleteKeys{DeleteKeys: del}}).GetDeleteKeys().GetResults()[0]
	require.True(t, deleted.GetOk())
	require.Equal(t, "key3", made().GetKeyId(), "the counter goes on")
}

// A key is looked for before the payload is looked at.
func TestOrderOfChecks(t *testing.T) {
	g := newGadget(t, tezsignsim.Options{Keys: []string{"k"}})
	w := claimBoth(t, g)[0]
	tz4 := tz4Of(t, w)
	code := func(tz4 string, payload []byte) uint32 {
		return w.ask(t, signRequest(tz4, payload)).GetError().GetCode()
	}
	require.EqualValues(t, 31, code("tz4XXXX", []byte{3, 1, 2, 3}), "unknown, with a bad payload")
	require.EqualValues(t, 31, code("tz4XXXX", attestation(5, 0, 0)))
	require.EqualValues(t, 34, code(tz4, []byte{3, 1, 2, 3}))
	require.NoError(t, g.PowerCycle())
	w = claimBoth(t, g)[0]
	require.EqualValues(t, 31, code(tz4, []byte{3, 1, 2, 3}), "not unlocked since the power came")
}

// The gadget has no bound for a level: its host has to have one.
func TestTheGadgetTakesAnyLevel(t *testing.T) {
	const beyond = 1<<40 + 7
	g := newGadget(t, tezsignsim.Options{Keys: []string{"k"}})
	w := claimBoth(t, g)[1]
	set := &pb.Request{Body: &pb.Request_SetLevel{SetLevel: &pb.SetLevel{KeyId: "k", Level: beyond}}}
	require.True(t, w.ask(t, set).GetOk().GetOk())
	require.NoError(t, g.PowerCycle())
	w = claimBoth(t, g)[1]
	require.True(t, w.ask(t, unlock("k")).GetUnlock().GetResults()[0].GetOk())
	kept := w.ask(t, askStatus).GetStatus().GetKeys()[0]
	require.EqualValues(t, beyond, kept.GetAttestationLevel(), "it is kept on the card")
}
