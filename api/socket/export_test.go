package socket

import (
	"context"
	"log/slog"
	"net"

	"highwater/api"
	"highwater/internal/conns"
)

// ServeWithin is Serve with other limits: tests do not wait for the real ones.
func ServeWithin(ctx context.Context, l net.Listener, a *api.Answers, limits conns.Limits) error {
	return serve(ctx, l, a, slog.New(slog.DiscardHandler), limits)
}
