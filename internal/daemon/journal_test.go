package daemon_test

import (
	"context"
	"log/slog"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/actor"
	"highwater/internal/config"
	"highwater/internal/daemon"
	"highwater/internal/daemon/daemontest"
	"highwater/operate"
	"highwater/store"
)

// looks are the use cases that change nothing. Every other use case is an act, and leaves an entry in the journal.
var looks = []string{"Status", "History", "Keys", "Marks", "Bundle", "Journal", "Pair", "Moment"}

// TestEveryActIsInTheJournal, with its user and its reason, done or refused: a new use case is a look by the list above,
// or leaves an entry.
func TestEveryActIsInTheJournal(t *testing.T) {
	cfg, err := config.Load(daemontest.WriteConfig(t, "state_dir = \"state\"\n"+daemontest.Minimal))
	require.NoError(t, err)
	require.NoError(t, store.Create(t.Context(), cfg.StateDir, time.Now()))
	in, err := daemon.Open(t.Context(), cfg, daemon.Options{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer func() { require.NoError(t, in.Close()) }()
	who := actor.Actor{UID: 4123456789, Login: 4123456789}
	ctx := actor.WithReason(actor.With(t.Context(), who), "a test")

	admin := reflect.ValueOf(in.Admin.Admin())
	acts := 0
	for i := range admin.NumMethod() {
		name := admin.Type().Method(i).Name
		before := len(in.Store.Journal())
		f := admin.Method(i)
		args := []reflect.Value{reflect.ValueOf(ctx)}
		for n := 1; n < f.Type().NumIn(); n++ {
			args = append(args, reflect.Zero(f.Type().In(n)))
		}
		f.Call(args)
		entries := in.Store.Journal()[before:]
		if slices.Contains(looks, name) {
			require.Empty(t, entries, name)
			continue
		}
		acts++
		at := slices.IndexFunc(entries, func(e hwm.JournalEntry) bool { return e.Who == who.String() })
		require.GreaterOrEqual(t, at, 0, "%s leaves no entry with its user", name)
		require.Equal(t, "a test", entries[at].Why, name)
		require.Regexp(t, `^done$|^refused \(\w+\): `, entries[at].Result, name)
		require.NotEmpty(t, entries[at].Action, name)
	}
	require.GreaterOrEqual(t, acts, 13)
}

// TestALookIsNoAct: dry runs, checks and the looks of devices leave no entry, and the same refusal leaves one.
func TestALookIsNoAct(t *testing.T) {
	d := daemontest.Run(t, daemontest.Minimal+"[server]\nlisten = \"127.0.0.1:0\"\n")
	admin := d.Admin.Admin()
	ctx := context.Background()
	_, _ = admin.Activate(ctx, operate.ActivateRequest{DryRun: true})
	_, _ = admin.Raise(ctx, operate.RaiseRequest{DryRun: true, Level: 7})
	for _, verb := range operate.DeviceLooks {
		_, _ = admin.DeviceCall(ctx, operate.DeviceCall{Device: "left", Verb: verb}, func(string) {})
	}
	require.Empty(t, d.Store.Journal())
	for range 3 {
		_, err := admin.SetCeiling(ctx, operate.CeilingRequest{Level: -1})
		require.Error(t, err)
	}
	require.Len(t, d.Store.Journal(), 1)
	require.Contains(t, d.Store.Journal()[0].Result, "refused (bad_request)")
	secret := []byte(`{"passphrase":"aGlkZGVu"}`)
	_, err := admin.DeviceCall(ctx, operate.DeviceCall{Device: "left", Verb: "unlock", Args: secret}, func(string) {})
	require.Error(t, err)
	last := d.Store.Journal()[1]
	require.Equal(t, "left: unlock", last.What)
	require.NotContains(t, last.Result, "aGlkZGVu")
}
