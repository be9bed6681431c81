package tezos_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/tezos"
)

func BenchmarkDecode(b *testing.B) {
	for _, name := range []string{"attestation with dal", "block round 0"} {
		payload := vector(b, name)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tezos.Decode(tezos.Ed25519, payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	payload := vector(b, "attestation")
	for _, key := range newKeys(b) {
		sig := key.mustSign(b, payload)
		b.Run(key.Curve().String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := key.Verify(payload, sig); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkAwaited is what is left to do for a tz4 signature once the device has answered.
func BenchmarkAwaited(b *testing.B) {
	payload, key := vector(b, "attestation"), newKeys(b)[3]
	sig := key.mustSign(b, payload)
	for b.Loop() {
		b.StopTimer()
		awaited := key.Await(payload)
		awaited.Prepared()
		b.StartTimer()
		if err := awaited.Verify(sig); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTexts(b *testing.B) {
	key := newKeys(b)[0]
	sig := key.mustSign(b, []byte{0x13})
	text := key.Hash().String()
	b.Run("parse hash", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, err := tezos.ParsePublicKeyHash(text)
			require.NoError(b, err)
		}
	})
	b.Run("print signature", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = sig.String()
		}
	})
}
