package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/go-chi/chi/v5"

	"highwater/failover"
	"highwater/failover/moment"
	"highwater/failover/wire"
	"highwater/operate"
)

func failoverRoutes(r chi.Router, a operate.Failover) {
	r.Get("/v1/pair", read(a.Pair))
	r.Post("/v1/peer", act(a.SetPeer))
	r.Post("/v1/moment", unhurried(act(a.Moment)))
	r.Post("/v1/handover", unhurried(act(a.Handover)))
	r.Post("/v1/release", act(a.Release))
	r.Post("/v1/accept", unhurried(act(a.Accept)))
	r.Post("/v1/takeover", unhurried(act(a.Takeover)))
}

// unhurried lifts the listener's time-outs: a handover may wait for a device, and evidence for an octez node. The read
// time-out would end the context of the request in the middle.
func unhurried(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		out := http.NewResponseController(w)
		if err := errors.Join(out.SetWriteDeadline(noDeadline), out.SetReadDeadline(noDeadline)); err != nil {
			writeJSON(w, http.StatusInternalServerError, toAdminError(err))
			return
		}
		h(w, r)
	}
}

// Pair tells which of the two instances may sign.
func (c *Client) Pair(ctx context.Context) (failover.View, error) {
	return call[failover.View](ctx, c, http.MethodGet, "/v1/pair", nil)
}

// SetPeer names the other instance.
func (c *Client) SetPeer(ctx context.Context, r operate.PeerRequest) (failover.View, error) {
	return call[failover.View](ctx, c, http.MethodPost, "/v1/peer", r)
}

// Moment tells whether now is a good moment.
func (c *Client) Moment(ctx context.Context, w moment.Window) (moment.Moment, error) {
	return call[moment.Moment](ctx, c, http.MethodPost, "/v1/moment", w)
}

// Handover moves the right to sign.
func (c *Client) Handover(ctx context.Context, r failover.HandoverRequest) (operate.HandoverAnswer, error) {
	return call[operate.HandoverAnswer](ctx, c, http.MethodPost, "/v1/handover", r)
}

// Release makes a certificate for a file.
func (c *Client) Release(ctx context.Context, r operate.ReleaseRequest) (wire.Certificate, error) {
	return call[wire.Certificate](ctx, c, http.MethodPost, "/v1/release", r)
}

// Accept takes the right to sign from a file.
func (c *Client) Accept(ctx context.Context, r operate.AcceptRequest) (operate.Role, error) {
	return call[operate.Role](ctx, c, http.MethodPost, "/v1/accept", r)
}

// Takeover takes the right to sign without the other instance.
func (c *Client) Takeover(ctx context.Context, r failover.TakeoverRequest) (operate.TakeoverAnswer, error) {
	return call[operate.TakeoverAnswer](ctx, c, http.MethodPost, "/v1/takeover", r)
}
