package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"highwater/api"
	"highwater/failover"
	"highwater/failover/moment"
	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/hwm/bundle"
	"highwater/internal/device"
	"highwater/internal/history"
	"highwater/internal/terminal"
	"highwater/internal/tezos"
	"highwater/operate"
	"highwater/signer"
	"highwater/store"
	"highwater/store/disk"
)

// broken is an instance on which every act fails in the same way.
type broken struct{ err error }

var (
	_ operate.Monitor    = broken{}
	_ operate.Alarms     = broken{}
	_ operate.Keyring    = broken{}
	_ operate.Watermarks = broken{}
	_ operate.Roles      = broken{}
	_ operate.Devices    = broken{}
	_ operate.Failover   = broken{}
)

func fails[T any](b broken) (out T, err error) { return out, b.err } //nolint:unparam // zero, of each type

func (b broken) Status(context.Context) (operate.Status, error) { return fails[operate.Status](b) }

func (b broken) History(context.Context, int) ([]history.Series, int, error) { return nil, 0, b.err }

func (b broken) Acknowledge(context.Context, operate.AcknowledgeRequest) ([]signer.Alarm, error) {
	return fails[[]signer.Alarm](b)
}

func (b broken) Keys(context.Context) ([]operate.KeyRow, error) { return fails[[]operate.KeyRow](b) }

func (b broken) Prove(context.Context, tezos.PublicKeyHash) (operate.Proof, error) {
	return fails[operate.Proof](b)
}

func (b broken) Marks(context.Context) ([]operate.MarkRow, error) {
	return fails[[]operate.MarkRow](b)
}

func (b broken) Raise(context.Context, operate.RaiseRequest) ([]operate.ChangeRow, error) {
	return fails[[]operate.ChangeRow](b)
}

func (b broken) SetCeiling(context.Context, operate.CeilingRequest) ([]operate.CeilingRow, error) {
	return fails[[]operate.CeilingRow](b)
}

func (b broken) Bundle(context.Context) (bundle.Bundle, error) { return fails[bundle.Bundle](b) }

func (b broken) Journal(context.Context) ([]hwm.JournalEntry, error) {
	return fails[[]hwm.JournalEntry](b)
}

func (b broken) Activate(context.Context, operate.ActivateRequest) (operate.Role, error) {
	return fails[operate.Role](b)
}

func (b broken) Standby(context.Context, operate.StandbyRequest) (operate.Role, error) {
	return fails[operate.Role](b)
}

func (b broken) RaiseDevices(context.Context) ([]signer.DeviceMarks, error) {
	return fails[[]signer.DeviceMarks](b)
}

func (b broken) DeviceCall(context.Context, operate.DeviceCall, func(string)) (json.RawMessage, error) {
	return fails[json.RawMessage](b)
}

func (b broken) Pair(context.Context) (failover.View, error) { return fails[failover.View](b) }

func (b broken) SetPeer(context.Context, operate.PeerRequest) (failover.View, error) {
	return fails[failover.View](b)
}

func (b broken) Moment(context.Context, moment.Window) (moment.Moment, error) {
	return fails[moment.Moment](b)
}

func (b broken) Handover(context.Context, failover.HandoverRequest) (operate.HandoverAnswer, error) {
	return fails[operate.HandoverAnswer](b)
}

func (b broken) Release(context.Context, operate.ReleaseRequest) (wire.Certificate, error) {
	return fails[wire.Certificate](b)
}

func (b broken) Accept(context.Context, operate.AcceptRequest) (operate.Role, error) {
	return fails[operate.Role](b)
}

func (b broken) Takeover(context.Context, failover.TakeoverRequest) (operate.TakeoverAnswer, error) {
	return fails[operate.TakeoverAnswer](b)
}

// TestNoErrorLeavesTheAdminSocketWithoutAReason: every route, with an error of every kind, with an unreadable request,
// and beside the routes.
func TestNoErrorLeavesTheAdminSocketWithoutAReason(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		reason string
	}{
		"a fault":          {errors.New("the roof fell in"), operate.Broken},
		"the disk":         {fmt.Errorf("commit: %w", &disk.Error{Err: store.ErrPoisoned}), signer.StoreFails},
		"a locked device":  {&device.Error{Device: "left", Health: device.Locked}, "device_locked"},
		"out of time":      {context.DeadlineExceeded, "timeout"},
		"the pair":         {wire.Refuse(wire.NotOwner, "", "no"), wire.NotOwner},
		"the request":      {&operate.Refusal{Reason: operate.BadRequest, Text: "no"}, operate.BadRequest},
		"an earlier error": {&api.RemoteError{Status: 500, Text: "no word for it"}, operate.Broken},
	} {
		b := broken{c.err}
		handler := api.NewAdmin(operate.Admin{
			Monitor: b, Alarms: b, Keyring: b, Watermarks: b, Roles: b, Devices: b, Failover: b,
		})
		_, path := adminSocket(t, operate.Admin{
			Monitor: b, Alarms: b, Keyring: b, Watermarks: b, Roles: b, Devices: b, Failover: b,
		})
		routes := 0
		require.NoError(t, chi.Walk(handler.(chi.Routes),
			func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
				routes++
				target := strings.ReplaceAll(route, "{name}", "left")
				body := "{}"
				if strings.HasSuffix(route, "/prove") {
					body = strconv.Quote(client(t, tezos.Ed25519).PublicKey().Hash().String())
				}
				got := ask(t, path, method, target, body)
				require.Contains(t, got.body, `"reason":"`+c.reason+`"`, "%s: %s %s: %s", name, method, route, got.body)
				if method == http.MethodPost {
					got = ask(t, path, method, target, "null")
					require.Contains(t, got.body, `"reason":`, "%s %s, unreadable: %s", method, route, got.body)
					got = ask(t, path, http.MethodGet, target, "")
					require.Contains(t, got.body, `"reason":"bad_request"`, "GET %s: %s", route, got.body)
				}
				return nil
			}))
		require.Greater(t, routes, 15, name)
	}
	require.Empty(t, operate.ReasonOf(nil))
}

// TestReasonsOfCommandsAreOnThePage: docs/monitoring.md has each reason of an operator's act, and no others.
func TestReasonsOfCommandsAreOnThePage(t *testing.T) {
	words := []string{signer.StoreFails, terminal.Unconfirmed, (&store.RisenError{}).ReasonWord()}
	for _, file := range []string{"../failover/wire/refusal.go", "../operate/refusal.go"} {
		words = append(words, constants(t, file)...)
	}
	require.Equal(t, sorted(words), firstCells(t, "Reasons of commands"))
}

// constants gives the words among the values of a file's constants.
func constants(t *testing.T, file string) (out []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	for _, d := range parsed.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			for _, v := range s.(*ast.ValueSpec).Values {
				if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					text, err := strconv.Unquote(lit.Value)
					require.NoError(t, err)
					if !strings.ContainsAny(text, " -") { // an advice has spaces
						out = append(out, text)
					}
				}
			}
		}
	}
	return out
}
