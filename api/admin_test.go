package api_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/api"
	"highwater/hwm"
	"highwater/internal/hints"
	"highwater/internal/tezos"
	"highwater/operate"
	"highwater/signer"
)

// adminSocket serves the admin API as the daemon does, and connects to it.
func adminSocket(t *testing.T, a operate.Admin) (*api.Client, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "admin.sock")
	l, err := api.Listen(t.Context(), api.UnixPrefix+path, 0o600)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600)|os.ModeSocket, mode(t, path))
	serveOn(t, l, api.NewAdmin(a))
	c, err := api.Dial(t.Context(), path)
	require.NoError(t, err)
	return c, path
}

func second[T any](_ T, err error) error { return err }

func num(n int32) *int32 { return &n }

// TestAdminThroughTheSocket: the client gives what the instance itself says, word by word.
func TestAdminThroughTheSocket(t *testing.T) {
	r := newRig(t)
	c, _ := adminSocket(t, r.admin.Admin())
	ctx := t.Context()
	same := func() {
		t.Helper()
		want, err := r.admin.Status(ctx)
		require.NoError(t, err)
		got, err := c.Status(ctx)
		require.NoError(t, err)
		require.Equal(t, asJSON(t, want), asJSON(t, got))
		keys, err := c.Keys(ctx)
		require.NoError(t, err)
		require.Equal(t, asJSON(t, want.Keys), asJSON(t, keys))
		marks, err := c.Marks(ctx)
		require.NoError(t, err)
		require.Equal(t, asJSON(t, want.Marks), asJSON(t, marks))
	}
	same()
	ed := r.keys[tezos.Ed25519].Hash()
	changes, err := c.Raise(ctx, operate.RaiseRequest{
		PKHs: []tezos.PublicKeyHash{ed}, Kinds: []tezos.Kind{tezos.Block}, Level: 7, Round: num(2),
	})
	require.NoError(t, err)
	require.Len(t, changes, 1)
	require.Equal(t, "raised", changes[0].Result)
	require.Nil(t, changes[0].Before)
	require.Equal(t, hwm.Position{Level: 7, Round: 2}, changes[0].After)
	changes, err = c.Raise(ctx, operate.RaiseRequest{Level: 7})
	require.NoError(t, err)
	require.Len(t, changes, 12)
	changes, err = c.Raise(ctx, operate.RaiseRequest{Level: 6})
	require.NoError(t, err)
	for _, ch := range changes {
		require.Equal(t, "kept", ch.Result)
		require.Equal(t, int32(7), ch.After.Level)
	}
	changes, err = c.Raise(ctx, operate.RaiseRequest{
		Rows: []hwm.ImportRow{{PKH: ed, Kind: tezos.Attestation, Level: 9, Round: 1}},
	})
	require.NoError(t, err)
	require.Equal(t, hwm.Position{Level: 9, Round: 1}, changes[0].After)
	same()

	set, err := c.SetCeiling(ctx, operate.CeilingRequest{PKHs: []tezos.PublicKeyHash{ed}, Level: 50})
	require.NoError(t, err)
	require.Equal(t, []operate.CeilingRow{{PKH: ed, Alias: set[0].Alias, After: 50}}, set)
	role, err := c.Activate(ctx, operate.ActivateRequest{Why: "a test"})
	require.NoError(t, err)
	require.Equal(t, hwm.Active, role.Role)
	require.True(t, role.Mine)
	same()
	role, err = c.Standby(ctx, operate.StandbyRequest{Why: "done"})
	require.NoError(t, err)
	require.Equal(t, hwm.Standby, role.Role)
	require.Equal(t, uint64(1), role.Epoch)
	same()
}

// TestErrorsThroughTheSocket keep their text and their hint.
func TestErrorsThroughTheSocket(t *testing.T) {
	r := newRig(t)
	c, _ := adminSocket(t, r.admin.Admin())
	ctx := t.Context()
	stranger := client(t, tezos.Ed25519).PublicKey().Hash()
	ed := r.keys[tezos.Ed25519].Hash()
	_, noMarks := c.Activate(ctx, operate.ActivateRequest{})
	_, err := c.Raise(ctx, operate.RaiseRequest{Level: 5})
	require.NoError(t, err)
	_, err = c.SetCeiling(ctx, operate.CeilingRequest{PKHs: []tezos.PublicKeyHash{ed}, Level: 50})
	require.NoError(t, err)
	raise := func(q operate.RaiseRequest) error { return second(c.Raise(ctx, q)) }
	ceiling := func(q operate.CeilingRequest) error { return second(c.SetCeiling(ctx, q)) }
	activate := func(q operate.ActivateRequest) error { return second(c.Activate(ctx, q)) }
	row := hwm.ImportRow{PKH: ed, Kind: tezos.Block, Level: 6}
	for name, e := range map[string]struct {
		err        error
		status     int
		text, hint string
		reason     string
	}{
		"no marks": {noMarks, 403, "12 watermarks missing", "hwm set --all", string(hwm.NoMark)},
		"far": {
			raise(operate.RaiseRequest{Level: 5 + 2*hwm.FarLevels}), 409,
			"20000 levels (1 d 9 h) above the highest known mark", "--far", string(hwm.TooFar),
		},
		"far in a row": {raise(operate.RaiseRequest{
			Rows: []hwm.ImportRow{{PKH: ed, Kind: tezos.Block, Level: 1 << 30}},
		}), 409, "above", "--far", string(hwm.TooFar)},
		"unknown key": {
			raise(operate.RaiseRequest{PKHs: []tezos.PublicKeyHash{stranger}, Level: 6}), 404,
			stranger.String(), "keys list", signer.UnknownKey,
		},
		"negative level": {raise(operate.RaiseRequest{Level: -1}), 400, "negative", "", operate.BadRequest},
		"negative round": {raise(operate.RaiseRequest{Level: 6, Round: num(-1)}), 400, "negative", "", operate.BadRequest},
		"a row half": {raise(operate.RaiseRequest{
			Rows: []hwm.ImportRow{row, {PKH: ed, Kind: tezos.Block, Level: -6}},
		}), 400, "row 2", "", operate.BadRequest},
		"a row without key": {
			raise(operate.RaiseRequest{Rows: []hwm.ImportRow{{Kind: tezos.Block, Level: 6}}}), 400, "row 1",
			"", operate.BadRequest,
		},
		"ceiling raised": {
			ceiling(operate.CeilingRequest{PKHs: []tezos.PublicKeyHash{ed}, Level: 51}), 409, "not raised",
			"", "ceiling_not_raised",
		},
		"ceiling negative": {ceiling(operate.CeilingRequest{Level: -1}), 400, "negative", "", operate.BadRequest},
		"ceiling unknown": {
			ceiling(operate.CeilingRequest{PKHs: []tezos.PublicKeyHash{stranger}, Level: 1}), 404,
			stranger.String(), "keys list", signer.UnknownKey,
		},
		"activate far": {
			activate(operate.ActivateRequest{Level: num(5 + 2*hwm.FarLevels)}), 409,
			"20000 levels (1 d 9 h) above the highest known mark", "--far", string(hwm.TooFar),
		},
		"ceiling far": {
			ceiling(operate.CeilingRequest{Level: 5 + 2*hwm.FarLevels}), 409,
			"20000 levels (1 d 9 h) above the highest known mark", "--far", string(hwm.TooFar),
		},
		"activate below 0": {activate(operate.ActivateRequest{Level: num(-3)}), 400, "negative", "", operate.BadRequest},
	} {
		var remote *api.RemoteError
		require.ErrorAs(t, e.err, &remote, name)
		require.Equal(t, e.status, remote.Status, name)
		require.Contains(t, remote.Error(), e.text, name)
		require.Contains(t, remote.HintText(), e.hint, name)
		require.Equal(t, e.reason, operate.ReasonOf(e.err), name)
		var hinter hints.Hinter
		require.ErrorAs(t, e.err, &hinter)
	}
	marks, err := r.admin.Marks(ctx)
	require.NoError(t, err)
	for _, m := range marks {
		require.Equal(t, int32(5), *m.Level, "no error changed anything")
	}
}

// TestBadActs: what is not exactly an act is refused, and changes nothing.
func TestBadActs(t *testing.T) {
	r := newRig(t).activate()
	_, path := adminSocket(t, r.admin.Admin())
	before, err := r.admin.Status(t.Context())
	require.NoError(t, err)
	pkh := r.keys[tezos.Ed25519].Hash().String()
	for _, c := range []struct{ method, target, body string }{
		{"POST", "/v1/marks/raise", ""},
		{"POST", "/v1/marks/raise", "null"},
		{"POST", "/v1/marks/raise", "[]"},
		{"POST", "/v1/marks/raise", `"x"`},
		{"POST", "/v1/marks/raise", `{"level":5000,"lower":true}`},
		{"POST", "/v1/marks/raise", `{"level":5000}{"level":6000}`},
		{"POST", "/v1/marks/raise", `{"level":5000} x`},
		{"POST", "/v1/marks/raise", `{"level":"5000"}`},
		{"POST", "/v1/marks/raise", `{"level":5000.5}`},
		{"POST", "/v1/marks/raise", `{"level":99999999999}`},
		{"POST", "/v1/marks/raise", `{"level":-1}`},
		{"POST", "/v1/marks/raise", `{"level":5000,"kinds":["baking"]}`},
		{"POST", "/v1/marks/raise", `{"level":5000,"pkhs":["tz1"]}`},
		{"POST", "/v1/marks/raise", `{"rows":[{"pkh":"` + pkh + `","level":5000,"round":0}]}`},
		{"POST", "/v1/marks/raise", `{"rows":[{"kind":"block","level":5000,"round":0}]}`},
		{"POST", "/v1/marks/raise", `{"level":5000`},
		{"POST", "/v1/marks/raise", strings.Repeat(" ", 9<<20) + `{"level":5000}`},
		{"POST", "/v1/ceilings", "null"},
		{"POST", "/v1/ceilings", `{"ceiling":1}`},
		{"POST", "/v1/ceilings", `{"level":-1}`},
		{"POST", "/v1/standby", "null"},
		{"POST", "/v1/standby", `{"reason":"x"}`},
		{"POST", "/v1/activate", `{"level":-1}`},
		{"GET", "/v1/standby", ""},
		{"GET", "/v1/activate", ""},
		{"DELETE", "/v1/marks", ""},
		{"PUT", "/v1/marks", "{}"},
		{"POST", "/v1/marks", "{}"},
		{"POST", "/v1/marks/lower", `{"level":1}`},
		{"GET", "/", ""},
		{"GET", "/v2/status", ""},
		{"POST", "/keys/" + pkh, attestation(tezos.Ed25519, 1)},
	} {
		got := ask(t, path, c.method, c.target, c.body)
		require.Contains(t, []int{400, 404, 405}, got.status, "%s %s %.100s: %s", c.method, c.target, c.body, got.body)
		require.Contains(t, got.body, `{"error":"`, c.target)
		require.Contains(t, got.body, `"reason":"bad_request"`, "%s %s", c.method, c.target)
	}
	after, err := r.admin.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, asJSON(t, before), asJSON(t, after))
}

// TestAnAnswerThatIsNone: whoever listens there is not believed blindly.
func TestAnAnswerThatIsNone(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"text":    func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "teapot", http.StatusTeapot) },
		"no JSON": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") },
		"empty":   func(http.ResponseWriter, *http.Request) {},
		"gone":    func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		path := filepath.Join(t.TempDir(), "other.sock")
		l, err := api.Listen(t.Context(), api.UnixPrefix+path, 0o600)
		require.NoError(t, err)
		serving(t, func(ctx context.Context) error { return api.Serve(ctx, l, h, slog.New(slog.DiscardHandler)) })
		c, err := api.Dial(t.Context(), path)
		require.NoError(t, err)
		_, err = c.Status(t.Context())
		require.Error(t, err, name)
		require.False(t, errors.Is(err, api.ErrNoDaemon), name)
	}
}
