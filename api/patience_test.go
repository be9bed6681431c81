package api_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/api"
	"highwater/failover"
	"highwater/failover/moment"
	"highwater/internal/hints"
	"highwater/internal/tezos"
	"highwater/operate"
)

// hungDaemon takes every request, and answers none before the client has gone.
func hungDaemon(t *testing.T, begun func(http.ResponseWriter)) *api.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hung.sock")
	l, err := api.Listen(t.Context(), api.UnixPrefix+path, 0o600)
	require.NoError(t, err)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then net/http notices that a client has gone
		begun(w)
		<-r.Context().Done()
	})
	serving(t, func(ctx context.Context) error { return api.Serve(ctx, l, h, slog.New(slog.DiscardHandler)) })
	c, err := api.Dial(t.Context(), path)
	require.NoError(t, err)
	return c
}

// TestAHungDaemonHangsNobody: every verb of the admin API ends, and says what to do.
func TestAHungDaemonHangsNobody(t *testing.T) {
	for name, begun := range map[string]func(http.ResponseWriter){
		"no answer": func(http.ResponseWriter) {},
		"half an answer": func(w http.ResponseWriter) {
			_, _ = w.Write([]byte(`{"version":`))
			_ = http.NewResponseController(w).Flush()
		},
	} {
		c := hungDaemon(t, begun)
		c.SetPatience(20 * time.Millisecond)
		ctx := t.Context()
		for _, err := range []error{
			second(c.Status(ctx)), second(c.Keys(ctx)), second(c.Marks(ctx)), second(c.Prove(ctx, tezos.PublicKeyHash{})),
			second(c.Raise(ctx, operate.RaiseRequest{})), second(c.SetCeiling(ctx, operate.CeilingRequest{})),
			second(c.Activate(ctx, operate.ActivateRequest{})), second(c.Standby(ctx, operate.StandbyRequest{})),
			second(c.Acknowledge(ctx, operate.AcknowledgeRequest{})), second(c.Pair(ctx)),
			second(c.SetPeer(ctx, operate.PeerRequest{})),
			second(c.Handover(ctx, failover.HandoverRequest{})), second(c.Release(ctx, operate.ReleaseRequest{})),
			second(c.Accept(ctx, operate.AcceptRequest{})), second(c.Takeover(ctx, failover.TakeoverRequest{})),
			second(c.Moment(ctx, moment.Window{})), second(c.RaiseDevices(ctx)),
			second(c.DeviceCall(ctx, operate.DeviceCall{Device: "left"}, func(string) {})),
		} {
			var late *api.NoAnswerError
			require.ErrorAs(t, err, &late, name)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Contains(t, err.Error(), "did not answer within 20ms")
			var hint hints.Hinter
			require.ErrorAs(t, err, &hint)
			require.Contains(t, hint.HintText(), "highwater status")
		}
	}
}

// TestADaemonThatDiesIsSaidSo: before an answer, or in the middle of one. It may have done what it was asked for.
func TestADaemonThatDiesIsSaidSo(t *testing.T) {
	for name, begun := range map[string]func(http.ResponseWriter){
		"no answer": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"half an answer": func(w http.ResponseWriter) {
			_, _ = w.Write([]byte(`{"version":`))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
	} {
		c := hungDaemon(t, begun)
		errs := []error{second(c.Handover(t.Context(), failover.HandoverRequest{}))}
		if name == "no answer" {
			errs = append(errs, second(c.DeviceCall(t.Context(), operate.DeviceCall{Device: "left"}, func(string) {})))
		}
		for _, err := range errs {
			var lost *api.LostAnswerError
			require.ErrorAs(t, err, &lost, name)
			require.Regexp(t, `the daemon ended without an answer \(POST /v1/\S+\): (unexpected )?EOF$`, err.Error())
			require.ErrorIs(t, err, lost.Err)
			require.Contains(t, lost.HintText(), "highwater status")
		}
	}
}

// TestTheCallersOwnEndIsTheCallers: Ctrl-C is not the daemon's fault.
func TestTheCallersOwnEndIsTheCallers(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := hungDaemon(t, func(http.ResponseWriter) { cancel() })
	_, err := c.Status(ctx)
	require.ErrorIs(t, err, context.Canceled)
	var late *api.NoAnswerError
	require.False(t, errors.As(err, &late))
}

// TestPatience: what waits for devices and for the other instance is waited for longer.
func TestPatience(t *testing.T) {
	plain := api.Patience("/v1/status")
	require.Greater(t, plain, 5*time.Second)
	require.Greater(t, api.Patience("/v1/standby"), plain)
	require.Greater(t, api.Patience("/v1/handover"), api.Patience("/v1/standby"))
	require.Equal(t, api.Patience("/v1/handover"), api.Patience("/v1/takeover"))
}
