package signer_test

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/hints"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
	"highwater/signer"
	"highwater/signer/signertest"
)

// operation is a reveal or a delegation to itself, as octez lays it out.
func operation(key *softkey.Key, tag byte) []byte {
	b := append([]byte{0x03}, bytes.Repeat([]byte{7}, 32)...)
	b = append(append(b, tag), key.PublicKey().Hash().Bytes()...)
	b = append(b, 1, 1, 1, 0)
	if tag == 107 {
		return append(append(b, byte(key.Curve())), key.PublicKey().Bytes()...)
	}
	return append(append(b, 0xff), key.PublicKey().Hash().Bytes()...)
}

// Registrations are signed for keys that were allowed to, on standby, and touch no mark. Nothing else of watermark 0x03
// is.
func TestRegistration(t *testing.T) {
	key := newKey(t, tezos.Ed25519, 0)
	r := newRig(t, tezos.Ed25519, func(c *signer.Config) {
		c.Keys = []signer.KeyPolicy{{PKH: key.PublicKey().Hash(), Reveal: true, Delegation: true}}
	})
	r.mustRefuse(operation(key, 107), signer.WrongKind) // active
	require.Empty(t, r.device.Asks())
	_, err := r.s.Stand(t.Context(), hwm.Standby, "to register")
	require.NoError(t, err)
	before := r.at(tezos.Attestation)

	r.mustSign(operation(key, 107))
	r.mustSign(operation(key, 110))
	require.Equal(t, before, r.at(tezos.Attestation))
	r.mustRefuse(operation(key, 108), "bad_payload")
	r.mustRefuse(operation(newKey(t, tezos.Ed25519, 5), 110), "bad_payload")
	r.mustRefuse(r.payload(tezos.Attestation, 500, 0, 1), signer.NotActive)
	require.Len(t, r.device.Asks(), 2)
}

func TestRegistrationIsOffByDefault(t *testing.T) {
	key := newKey(t, tezos.Ed25519, 0)
	only := func(c *signer.Config) { c.Keys = []signer.KeyPolicy{{PKH: key.PublicKey().Hash(), Reveal: true}} }
	for name, r := range map[string]*rig{
		"nothing allowed": newRig(t, tezos.Ed25519), "reveal only": newRig(t, tezos.Ed25519, only),
	} {
		_, err := r.s.Stand(t.Context(), hwm.Standby, "to register")
		require.NoError(t, err)
		r.mustRefuse(operation(key, 110), signer.WrongKind)
		require.Empty(t, r.device.Asks(), name)
	}
}

// Who asks for a transfer is not told how to register as a baker.
func TestATransferIsNoRegistration(t *testing.T) {
	key := newKey(t, tezos.Ed25519, 0)
	r := newRig(t, tezos.Ed25519)
	err := r.refusal(operation(key, 108), signer.WrongKind)
	require.ErrorContains(t, err, "never transfers or further operations (0x03)")
	require.NotContains(t, hints.Of(err), "register")
	require.Contains(t, hints.Of(r.refusal(operation(key, 107), signer.WrongKind)), "to register the key as a baker")
	require.Empty(t, r.device.Asks())
}

// What a device gives for a registration leaves only if it is the key's signature of these bytes.
func TestAWrongSignatureOfARegistrationNeverLeaves(t *testing.T) {
	for _, curve := range []tezos.Curve{tezos.Ed25519, tezos.Secp256k1, tezos.P256, tezos.BLS12381} {
		key, stranger := newKey(t, curve, 0), newKey(t, curve, 7)
		r := newRig(t, curve, func(c *signer.Config) {
			c.Keys = []signer.KeyPolicy{{PKH: key.PublicKey().Hash(), Reveal: true, Delegation: true}}
		})
		_, err := r.s.Stand(t.Context(), hwm.Standby, "to register")
		require.NoError(t, err)
		payload := operation(key, 110)
		for name, sig := range map[string]tezos.Signature{
			"another key": stranger.Sign(payload), "other bytes": key.Sign(operation(key, 107)),
			"a place in the chain": key.Sign(block(500, 0, 1)),
		} {
			r.device.Script(func(context.Context, tezos.PublicKeyHash, []byte) (tezos.Signature, error) { return sig, nil })
			err := r.refusal(payload, "wrong_signature")
			var wrong *signer.WrongSignatureError
			require.ErrorAs(t, err, &wrong, "%s %s", curve, name)
		}
		r.device.Script(nil)
		r.mustSign(payload)
	}
}

// A registration that waits for the device while the instance is activated is not signed after all.
func TestRegistrationThatWaitsWhileActivated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newKey(t, tezos.Ed25519, 0)
		d := newDevice("left", key)
		policy := func(c *signer.Config) { c.Keys = []signer.KeyPolicy{{PKH: key.PublicKey().Hash(), Reveal: true}} }
		bubble(t, time.Millisecond, policy, func(t *testing.T, s *signer.Signer, _ *signertest.Store) {
			_, standErr := s.Stand(t.Context(), hwm.Standby, "to register")
			require.NoError(t, standErr)
			busy, turnErr := d.Turn(t.Context())
			require.NoError(t, turnErr)
			answer := make(chan error, 1)
			go func() {
				_, err := s.Sign(t.Context(), key.PublicKey().Hash(), operation(key, 107))
				answer <- err
			}()
			synctest.Wait()
			_, err := s.Activate(nil, "it signs now")
			require.NoError(t, err)
			busy.Done()
			require.Equal(t, signer.WrongKind, signer.ReasonOf(<-answer))
			require.Empty(t, d.Asks())
		}, d)
	})
}

// A registration keeps the instance on standby until the device is done with it.
func TestNobodyActivatesDuringARegistration(t *testing.T) {
	key := newKey(t, tezos.Ed25519, 0)
	d := newDevice("left", key)
	asked, release := make(chan struct{}), make(chan struct{})
	d.Script(func(context.Context, tezos.PublicKeyHash, []byte) (tezos.Signature, error) {
		close(asked)
		<-release
		return tezos.Signature{}, nil
	})
	policy := func(c *signer.Config) { c.Keys = []signer.KeyPolicy{{PKH: key.PublicKey().Hash(), Reveal: true}} }
	bubble(t, time.Millisecond, policy, func(t *testing.T, s *signer.Signer, _ *signertest.Store) {
		_, err := s.Stand(t.Context(), hwm.Standby, "to register")
		require.NoError(t, err)
		answer, activated := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := s.Sign(t.Context(), key.PublicKey().Hash(), operation(key, 107))
			answer <- err
		}()
		<-asked
		go func() {
			_, err := s.Activate(nil, "it signs now")
			activated <- err
		}()
		select {
		case <-activated:
			t.Error("it was activated while the device signed a registration")
			activated <- nil
		case <-time.After(50 * time.Millisecond):
		}
		close(release)
		require.NoError(t, <-answer)
		require.NoError(t, <-activated)
		require.True(t, s.Active())
	}, d)
}
