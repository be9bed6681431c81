package signer_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/tezos"
	"highwater/signer"
	"highwater/signer/signertest"
)

// What a signature costs besides its device and its disk.
func BenchmarkSign(b *testing.B) {
	key := newKey(b, tezos.Ed25519, 0)
	d := newDevice("left", key)
	s := signer.New(signer.Config{Chain: ghost, Store: signertest.NewStore(0, key), Devices: []signer.Device{d}})
	s.Learn()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	go s.Run(ctx)
	payloads := make([][]byte, b.N)
	for i := range payloads {
		payloads[i] = payloadOf(tezos.Ed25519, tezos.Attestation, int32(11+i), 0, 1)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for _, p := range payloads {
		_, err := s.Sign(ctx, key.PublicKey().Hash(), p)
		require.NoError(b, err)
	}
}
