package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/api"
	"highwater/internal/baker"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
)

// authBytes is what a client signs, written down once more: 04 · 01 · tag and hash of the key that shall sign ·
// payload.
func authBytes(pkh tezos.PublicKeyHash, payload []byte) []byte {
	out := append([]byte{4, 1, byte(pkh.Curve)}, pkh.Hash[:]...)
	return append(out, payload...)
}

func TestAuthentication(t *testing.T) {
	r := newRig(t).activate()
	clients := map[tezos.Curve]*softkey.Key{}
	var authorized []*tezos.PublicKey
	for _, curve := range []tezos.Curve{tezos.Ed25519, tezos.Secp256k1, tezos.P256, tezos.BLS12381} {
		clients[curve] = client(t, curve)
		authorized = append(authorized, clients[curve].PublicKey())
	}
	at := serve(t, r.octez(func(c *api.OctezConfig) { c.AuthorizedKeys = authorized }))
	want := `{"authorized_keys":["` + authorized[0].Hash().String() + `","` + authorized[1].Hash().String() + `","` +
		authorized[2].Hash().String() + `","` + authorized[3].Hash().String() + `"]}`
	require.Equal(t, want, ask(t, at, "GET", "/authorized_keys", "").body)

	level := int32(0)
	for _, by := range clients {
		for curve, key := range r.keys {
			level++
			payload := step(tezos.Attestation, level).Payload(curve)
			sig := by.Sign(authBytes(key.Hash(), payload))
			target := "/keys/" + key.Hash().String() + "?version=3&authentication="
			ask(t, at, "POST", target+sig.String(), hexBody(payload)).signature(t, key, payload)
			if by.Curve() == tezos.BLS12381 {
				continue
			}
			level++
			payload = step(tezos.Attestation, level).Payload(curve)
			generic := genericText(t, by.Sign(authBytes(key.Hash(), payload)))
			ask(t, at, "POST", target+generic, hexBody(payload)).signature(t, key, payload)
		}
	}
	// The bytes are of the key, however its path is written.
	for _, path := range []string{"//keys/", "/keys//", "//keys///"} {
		level++
		key := r.keys[tezos.Ed25519]
		payload := step(tezos.Attestation, level).Payload(tezos.Ed25519)
		target := path + key.Hash().String() + "/?authentication="
		auth := clients[tezos.Ed25519].Sign(authBytes(key.Hash(), payload)).String()
		ask(t, at, "POST", target+auth, hexBody(payload)).signature(t, key, payload)
		ask(t, at, "POST", path+key.Hash().String()+"/", hexBody(payload)).refusal(t, http.StatusUnauthorized)
	}
	// The octez client does it by itself, once told to.
	c := baker.New("http://"+at, false)
	defer c.Close()
	c.Auth = clients[tezos.P256]
	key := r.keys[tezos.Ed25519]
	_, err := c.Sign(t.Context(), key, step(tezos.Attestation, level+1).Payload(tezos.Ed25519))
	require.NoError(t, err)
}

// genericText is the text sig… of a signature's 64 bytes.
func genericText(t *testing.T, sig tezos.Signature) string {
	t.Helper()
	return base58check([]byte{4, 130, 43}, sig.Bytes())
}

func TestAuthenticationsThatAreNone(t *testing.T) {
	r := newRig(t).activate()
	good, stranger := client(t, tezos.Ed25519), client(t, tezos.Secp256k1)
	at := serve(t, r.octez(func(c *api.OctezConfig) {
		c.AuthorizedKeys = []*tezos.PublicKey{good.PublicKey(), client(t, tezos.BLS12381).PublicKey()}
	}))
	key, other := r.keys[tezos.Ed25519], r.keys[tezos.P256]
	payload := step(tezos.Attestation, 1).Payload(tezos.Ed25519)
	message := authBytes(key.Hash(), payload)
	right := good.Sign(message).String()
	for name, query := range map[string]string{
		"missing":           "",
		"empty":             "?authentication=",
		"twice":             "?authentication=" + right + "&authentication=" + right,
		"another name":      "?Authentication=" + right,
		"by a stranger":     "?authentication=" + stranger.Sign(message).String(),
		"by the key":        "?authentication=" + genericText(t, stranger.Sign(message)),
		"another payload":   "?authentication=" + good.Sign(authBytes(key.Hash(), payload[1:])).String(),
		"another key":       "?authentication=" + good.Sign(authBytes(other.Hash(), payload)).String(),
		"without watermark": "?authentication=" + good.Sign(message[2:]).String(),
		"of the request":    "?authentication=" + good.Sign(payload).String(),
		"cut":               "?authentication=" + right[:len(right)-1],
		"mistyped":          "?authentication=" + right[:20] + "1" + right[21:],
		"a key":             "?authentication=" + good.PublicKey().String(),
		"unicode":           "?authentication=%F0%9F%94%91",
		"long":              "?authentication=" + repeat("1", 8000),
		"of another curve":  "?authentication=" + base58check([]byte{13, 115, 101, 19, 63}, good.Sign(message).Bytes()),
		"BLS as generic": "?authentication=" + base58check(
			[]byte{4, 130, 43}, client(t, tezos.BLS12381).Sign(message).Bytes()[:64]),
	} {
		got := ask(t, at, "POST", "/keys/"+key.Hash().String()+query, hexBody(payload))
		require.Equal(t, http.StatusUnauthorized, got.status, "%s: %s", name, got.body)
		require.Contains(t, got.message(t), "authent", name)
	}
	// A stranger does not learn which keys there are by asking them to sign, nor move a mark.
	unknown := client(t, tezos.P256).PublicKey().Hash()
	ask(t, at, "POST", "/keys/"+unknown.String(), hexBody(payload)).refusal(t, http.StatusUnauthorized)
	ask(t, at, "POST", "/keys/"+key.Hash().String()+"?authentication="+right, hexBody(payload)).signature(t, key, payload)
	require.Empty(t, ask(t, at, "GET", "/keys/"+key.Hash().String(), "").header.Get("Location"))
}

// proofAuth is what a client signs for a proof of possession, written down once more (Octez, tezt/tests/signer_test.ml,
// authentication_payload): 04 · the tag of the request · tag and hash of the key · the key to be proven, if named.
func proofAuth(tag byte, pkh tezos.PublicKeyHash, over []byte) []byte {
	out := append([]byte{4, tag, byte(pkh.Curve)}, pkh.Hash[:]...)
	return append(out, over...)
}

// TestAuthenticatedProofs: with authorized keys a proof wants a signature of its own, over the key that is proven.
func TestAuthenticatedProofs(t *testing.T) {
	r := newRig(t).activate()
	good, stranger := client(t, tezos.Ed25519), client(t, tezos.Secp256k1)
	at := serve(t, r.octez(func(c *api.OctezConfig) {
		c.ProvePossession, c.AuthorizedKeys = true, []*tezos.PublicKey{good.PublicKey()}
	}))
	bls, other := r.keys[tezos.BLS12381], client(t, tezos.BLS12381).PublicKey()
	ofOwn, ofKey := proofAuth(4, bls.Hash(), nil), proofAuth(4, bls.Hash(), bls.Bytes())
	path := "/bls_prove_possession/" + bls.Hash().String() + "?"
	named := "bls_pk=" + bls.String() + "&"
	for _, query := range []string{
		"authentication=" + good.Sign(ofOwn).String(), named + "authentication=" + good.Sign(ofKey).String(),
	} {
		got := ask(t, at, "GET", path+query, "")
		require.Equal(t, http.StatusOK, got.status, got.body)
	}
	for name, query := range map[string]string{
		"none":                   "",
		"none for the key":       named,
		"by a stranger":          "authentication=" + stranger.Sign(ofOwn).String(),
		"for another request":    "authentication=" + good.Sign(proofAuth(1, bls.Hash(), nil)).String(),
		"without the key":        named + "authentication=" + good.Sign(ofOwn).String(),
		"with a key not asked":   "authentication=" + good.Sign(ofKey).String(),
		"of another address":     "authentication=" + good.Sign(proofAuth(4, other.Hash(), nil)).String(),
		"of an attestation's":    "authentication=" + good.Sign(authBytes(bls.Hash(), bls.Bytes())).String(),
		"another key than named": "bls_pk=" + other.String() + "&authentication=" + good.Sign(ofKey).String(),
	} {
		got := ask(t, at, "GET", path+query, "")
		require.Equal(t, http.StatusUnauthorized, got.status, "%s: %s", name, got.body)
		require.Contains(t, got.message(t), "keys pop", name)
	}
	// An authenticated client gets no proof of a key of its choice.
	ask(t, at, "GET", path+"bls_pk="+other.String()+"&authentication="+
		good.Sign(proofAuth(4, bls.Hash(), other.Bytes())).String(), "").refusal(t, http.StatusForbidden)
}
