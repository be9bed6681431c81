package baker_test

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/baker"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
)

// fakeSigner answers as a signer does, and writes down how it was asked.
type fakeSigner struct {
	t          *testing.T
	key        *softkey.Key
	authorized []string
	answer     func(w http.ResponseWriter, payload []byte)

	mu    sync.Mutex
	asked []string // "METHOD path?query"
	conns int      // that were opened
}

func (f *fakeSigner) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.asked = append(f.asked, r.Method+" "+r.URL.String())
	f.mu.Unlock()
	switch {
	case r.URL.Path == "/authorized_keys":
		reply(w, map[string]any{"authorized_keys": f.authorized})
	case r.URL.Path == "/known_keys":
		reply(w, map[string]any{"known_keys": []tezos.PublicKeyHash{f.key.PublicKey().Hash()}})
	case r.Method == http.MethodGet:
		reply(w, map[string]any{"public_key": f.key.PublicKey()})
	default:
		body, err := io.ReadAll(r.Body)
		payload, hexErr := hex.DecodeString(strings.Trim(string(body), "\"\n"))
		if err != nil || hexErr != nil || r.Header.Get("Content-Type") != "application/json" {
			http.Error(w, "a bad request", http.StatusBadRequest)
			return
		}
		f.answer(w, payload)
	}
}

// connState counts connections: the kernel gives an address to one connection after another.
func (f *fakeSigner) connState(_ net.Conn, state http.ConnState) {
	if state == http.StateNew {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.conns++
	}
}

func (f *fakeSigner) opened() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.conns
}

func reply(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }

func serve(t *testing.T, keepAlive bool) (*fakeSigner, *baker.Client) {
	t.Helper()
	f := &fakeSigner{t: t, key: newKey(t, tezos.Ed25519)}
	f.answer = func(w http.ResponseWriter, payload []byte) {
		reply(w, map[string]any{"signature": f.key.Sign(payload)})
	}
	srv := httptest.NewUnstartedServer(f)
	srv.Config.ConnState = f.connState
	srv.Start()
	t.Cleanup(srv.Close)
	c := baker.New(srv.URL+"/", keepAlive)
	t.Cleanup(c.Close)
	return f, c
}

var payload = baker.Step{Chain: chain, Kind: tezos.Attestation, Level: 5}.Payload(tezos.Ed25519)

func TestClientAsksAsOctezDoes(t *testing.T) {
	f, c := serve(t, false)
	sig, err := c.Sign(t.Context(), f.key.PublicKey(), payload)
	require.NoError(t, err)
	require.True(t, sig.Equal(f.key.Sign(payload)))
	sign := "POST /keys/" + f.key.PublicKey().Hash().String() + "?version=3"
	require.Equal(t, []string{"GET /authorized_keys", sign}, f.asked)
	require.Equal(t, 2, f.opened(), "a connection for each request")
}

func TestClientKeepsConnectionsWhenToldTo(t *testing.T) {
	f, c := serve(t, true)
	for range 3 {
		_, err := c.SignOnly(t.Context(), f.key.PublicKey(), payload)
		require.NoError(t, err)
	}
	require.Len(t, f.asked, 3)
	require.Equal(t, 1, f.opened())
}

func TestClientAuthenticatesWhenTheSignerWantsIt(t *testing.T) {
	f, c := serve(t, false)
	c.Auth = newKey(t, tezos.Secp256k1)
	_, err := c.Sign(t.Context(), f.key.PublicKey(), payload)
	require.NoError(t, err)
	require.NotContains(t, f.asked[1], "authentication", "nobody asked for it")

	f.authorized = []string{c.Auth.PublicKey().Hash().String()}
	_, err = c.Sign(t.Context(), f.key.PublicKey(), payload)
	require.NoError(t, err)
	_, text, found := strings.Cut(f.asked[3], "&authentication=")
	require.True(t, found)
	sig, err := tezos.ParseSignature(text)
	require.NoError(t, err)
	message := append(append([]byte{4, 1}, f.key.PublicKey().Hash().Bytes()...), payload...)
	require.NoError(t, c.Auth.PublicKey().Verify(message, sig))
}

func TestClientShowsARefusal(t *testing.T) {
	f, c := serve(t, false)
	for name, tc := range map[string]struct {
		status     int
		body, want string
	}{
		"octez's shape": {
			409, `[{"kind":"temporary","id":"failure","msg":"level 5 is not above"}]`,
			"level 5 is not above",
		},
		"an empty list":   {403, `[]`, `[]`},
		"something else":  {500, "it broke", "it broke"},
		"a redirection":   {302, "elsewhere", "elsewhere"},
		"nothing":         {404, "", ""},
		"another success": {204, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f.answer = func(w http.ResponseWriter, _ []byte) {
				w.Header().Set("Location", "/authorized_keys")
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			}
			sig, err := c.Sign(t.Context(), f.key.PublicKey(), payload)
			var refusal *baker.Refusal
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, baker.Refusal{Status: tc.status, Text: tc.want}, *refusal)
			require.True(t, sig.IsZero())
		})
	}
}

func TestClientVerifies(t *testing.T) {
	f, c := serve(t, false)
	f.answer = func(w http.ResponseWriter, p []byte) {
		reply(w, map[string]any{"signature": f.key.Sign(append([]byte{0x13}, p...))})
	}
	sig, err := c.Sign(t.Context(), f.key.PublicKey(), payload)
	require.ErrorIs(t, err, tezos.ErrBadSignature)
	require.True(t, sig.IsZero())
	_, err = c.SignOnly(t.Context(), f.key.PublicKey(), payload)
	require.ErrorIs(t, err, tezos.ErrBadSignature)
	_, err = c.Ask(t.Context(), f.key.PublicKey(), payload)
	require.NoError(t, err, "Ask leaves the verification to its caller")
}

func TestClientRefusesAnswersThatAreNone(t *testing.T) {
	f, c := serve(t, false)
	for _, body := range []string{"", "{", `{"signature": 5}`, `{"signature": "edsigX"}`, `"edsig"`} {
		f.answer = func(w http.ResponseWriter, _ []byte) { _, _ = io.WriteString(w, body) }
		sig, err := c.Sign(t.Context(), f.key.PublicKey(), payload)
		require.Error(t, err, body)
		require.True(t, sig.IsZero())
	}
	f.answer = func(w http.ResponseWriter, _ []byte) { reply(w, map[string]any{}) }
	_, err := c.Sign(t.Context(), f.key.PublicKey(), payload)
	require.Error(t, err, "no signature at all")
}

func TestClientLooksUpKeys(t *testing.T) {
	f, c := serve(t, false)
	hashes, err := c.KnownKeys(t.Context())
	require.NoError(t, err)
	require.Equal(t, []tezos.PublicKeyHash{f.key.PublicKey().Hash()}, hashes)
	key, err := c.PublicKey(t.Context(), hashes[0])
	require.NoError(t, err)
	require.Equal(t, f.key.PublicKey().String(), key.String())
	_, err = c.PublicKey(t.Context(), newKey(t, tezos.P256).PublicKey().Hash())
	require.ErrorContains(t, err, "the signer gave the key of "+hashes[0].String())
}

func TestClientSaysThatNobodyAnswers(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	c := baker.New(srv.URL, false)
	_, err := c.Sign(t.Context(), newKey(t, tezos.Ed25519).PublicKey(), payload)
	require.Error(t, err)
	var refusal *baker.Refusal
	require.NotErrorAs(t, err, &refusal)
}
