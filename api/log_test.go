package api_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/api"
	"highwater/internal/baker"
	"highwater/internal/tezos"
	"highwater/signer"
)

// stuckLog is a log whose lines are not written before it is released.
type stuckLog struct {
	slog.Handler
	released chan struct{}
	lines    chan slog.Record
}

func (l stuckLog) Enabled(context.Context, slog.Level) bool { return true }

func (l stuckLog) Handle(_ context.Context, r slog.Record) error {
	<-l.released
	l.lines <- r
	return nil
}

// The answer leaves before its line is written, and the line is written.
func TestAnswerDoesNotWaitForTheLog(t *testing.T) {
	r := newRig(t).activate()
	log := stuckLog{slog.DiscardHandler, make(chan struct{}), make(chan slog.Record, 1)}
	s := signer.New(signer.Config{Chain: chain, Store: r.store, Devices: r.devices, Log: slog.New(log)})
	at := serve(t, api.NewAnswers(api.OctezConfig{Signer: s}).HTTP())
	client := baker.New("http://"+at, true)
	defer client.Close()
	key := r.keys[tezos.Ed25519]
	_, err := client.SignOnly(t.Context(), key, step(tezos.Attestation, 1).Payload(tezos.Ed25519))
	require.NoError(t, err)
	require.Empty(t, log.lines)
	close(log.released)
	line := <-log.lines
	require.Equal(t, "signed", line.Message)
	found := map[string]string{}
	line.Attrs(func(a slog.Attr) bool { found[a.Key] = a.Value.String(); return true })
	require.Equal(t, "signed", found["decision"])
	require.NotEmpty(t, found["request_id"])
}
