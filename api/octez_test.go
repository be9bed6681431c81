package api_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/api"
	"highwater/hwm"
	"highwater/internal/baker"
	"highwater/internal/tezos"
)

// TestEveryEndpoint asks each endpoint of the octez client once, and looks at the answer to the byte.
func TestEveryEndpoint(t *testing.T) {
	r := newRig(t).activate()
	at := serve(t, r.octez(func(c *api.OctezConfig) { c.KnownKeys, c.ProvePossession = true, true }))

	got := ask(t, at, "GET", "/authorized_keys", "")
	require.Equal(t, http.StatusOK, got.status)
	require.Equal(t, `{}`, got.body)
	require.Equal(t, "application/json", got.header.Get("Content-Type"))

	var known struct {
		Keys []string `json:"known_keys"`
	}
	got = ask(t, at, "GET", "/known_keys", "")
	require.Equal(t, http.StatusOK, got.status)
	require.NoError(t, json.Unmarshal([]byte(got.body), &known))
	require.Len(t, known.Keys, 4)

	level := int32(1)
	for curve, key := range r.keys {
		require.Contains(t, known.Keys, key.Hash().String())
		got = ask(t, at, "GET", "/keys/"+key.Hash().String(), "")
		require.Equal(t, http.StatusOK, got.status)
		require.Equal(t, `{"public_key":"`+key.String()+`"}`, got.body)
		for _, kind := range tezos.Kinds {
			payload := step(kind, level).Payload(curve)
			got = ask(t, at, "POST", "/keys/"+key.Hash().String(), hexBody(payload))
			got.signature(t, key, payload)
			require.NotEmpty(t, got.header.Get("X-Request-Id"))
		}
	}

	bls := r.keys[tezos.BLS12381]
	for _, query := range []string{"", "?bls_pk=" + bls.String(), "?version=3"} {
		got = ask(t, at, "GET", "/bls_prove_possession/"+bls.Hash().String()+query, "")
		require.Equal(t, http.StatusOK, got.status, got.body)
		var proof struct {
			Proof tezos.Signature `json:"bls_prove_possession"`
		}
		require.NoError(t, json.Unmarshal([]byte(got.body), &proof))
		require.NoError(t, bls.VerifyPossession(proof.Proof))
		require.Equal(t, `{"bls_prove_possession":"`+proof.Proof.String()+`"}`, got.body)
	}
}

func TestSwitchedOffEndpoints(t *testing.T) {
	r := newRig(t)
	at := serve(t, r.octez())
	require.Contains(t, ask(t, at, "GET", "/known_keys", "").refusal(t, http.StatusForbidden), "known_keys = true")
	bls := r.keys[tezos.BLS12381].Hash().String()
	require.Contains(t, ask(t, at, "GET", "/bls_prove_possession/"+bls, "").refusal(t, http.StatusForbidden),
		"prove_possession = true")
}

func TestProofsThatAreNotGiven(t *testing.T) {
	r := newRig(t).activate()
	at := serve(t, r.octez(func(c *api.OctezConfig) { c.ProvePossession = true }))
	bls, other := r.keys[tezos.BLS12381], client(t, tezos.BLS12381).PublicKey()
	path := "/bls_prove_possession/" + bls.Hash().String()
	for target, status := range map[string]int{
		path + "?bls_pk=" + other.String():                             http.StatusForbidden,
		path + "?bls_pk=" + bls.String() + "&bls_pk=" + other.String(): http.StatusForbidden,
		path + "?bls_pk=":    http.StatusForbidden,
		path + "?bls_pk=%zz": http.StatusBadRequest,
		"/bls_prove_possession/" + r.keys[tezos.Ed25519].Hash().String(): http.StatusForbidden,
		"/bls_prove_possession/" + other.Hash().String():                 http.StatusNotFound,
		"/bls_prove_possession/tz4":                                      http.StatusBadRequest,
	} {
		ask(t, at, "GET", target, "").refusal(t, status)
	}
}

// numbering numbers the connections of its requests: the kernel gives an address to one connection after another.
type numbering struct {
	http.Handler
	conns atomic.Int64
}

type connNumber struct{}

func (n *numbering) ConnContext(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, connNumber{}, n.conns.Add(1))
}

// TestAsTheOctezClientDoes bakes some levels through the client of internal/baker, which speaks as Octez does: a
// connection for each request, /authorized_keys before each signature, ?version=3, a body with a newline at its end.
func TestAsTheOctezClientDoes(t *testing.T) {
	r := newRig(t).activate()
	asked := make(chan *http.Request, 1000)
	h := r.octez()
	at := serve(t, &numbering{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		asked <- req.Clone(context.WithoutCancel(req.Context()))
		h.ServeHTTP(w, req)
	})})
	c := baker.New("http://"+at, false)
	defer c.Close()
	judge := baker.NewJudge()
	signed := 0
	for level := int32(1); level <= 3; level++ {
		for curve, key := range r.keys {
			for _, kind := range tezos.Kinds {
				s := step(kind, level)
				s.DAL = int(level) - 1
				payload := s.Payload(curve)
				sig, err := c.Sign(t.Context(), key, payload)
				require.NoError(t, err)
				isNew, err := judge.Note(key.Hash(), payload, sig)
				require.NoError(t, err)
				require.True(t, isNew)
				signed++

				again, err := c.Sign(t.Context(), key, payload)
				require.NoError(t, err)
				require.Equal(t, sig.String(), again.String(), "the same bytes have the same signature")

				s.Variant = 0xff
				_, err = c.Sign(t.Context(), key, s.Payload(curve))
				var no *baker.Refusal
				require.ErrorAs(t, err, &no)
				require.Equal(t, http.StatusConflict, no.Status)
				require.Contains(t, no.Text, "double signature")
			}
		}
	}
	require.Equal(t, signed, judge.Signed())
	require.Empty(t, judge.Doubles())

	require.Len(t, asked, signed*6)
	connections := map[any]bool{}
	for i := range signed * 6 {
		req := <-asked
		require.Equal(t, "application/json;q=1,application/bson;q=0.100,application/octet-stream;q=0.200",
			req.Header.Get("Accept"))
		number := req.Context().Value(connNumber{})
		require.NotNil(t, number)
		require.False(t, connections[number], "request %d came over a connection that had a request before", i)
		connections[number] = true
		if i%2 == 0 {
			require.Equal(t, "/authorized_keys", req.URL.Path)
			continue
		}
		require.Equal(t, http.MethodPost, req.Method)
		require.Equal(t, "3", req.URL.Query().Get("version"))
	}
}

// TestErrors is the table of statuses. Whatever happens, octez can show it.
func TestErrors(t *testing.T) {
	r := newRig(t)
	at := serve(t, r.octez(func(c *api.OctezConfig) { c.Budget = 300 * time.Millisecond }))
	key := r.keys[tezos.Ed25519]
	path := "/keys/" + key.Hash().String()
	payload := step(tezos.Attestation, 5).Payload(tezos.Ed25519)

	require.Contains(t, ask(t, at, "POST", path, hexBody(payload)).refusal(t, http.StatusForbidden), "standby")
	r.activate()
	require.Contains(t, ask(t, at, "POST", path, `"1g"`).refusal(t, http.StatusBadRequest), "not hex: invalid byte")
	require.Contains(t, ask(t, at, "POST", path, `"03ff"`).refusal(t, http.StatusForbidden), "0x03")
	require.Contains(t, ask(t, at, "POST", path, `"05ff"`).refusal(t, http.StatusBadRequest), "0x05")
	unknown := client(t, tezos.Ed25519).PublicKey().Hash().String()
	require.Contains(t, ask(t, at, "POST", "/keys/"+unknown, hexBody(payload)).refusal(t, http.StatusNotFound), unknown)
	require.Contains(t, ask(t, at, "GET", "/keys/"+unknown, "").refusal(t, http.StatusNotFound), unknown)
	ask(t, at, "GET", "/", "").refusal(t, http.StatusNotFound)
	got := ask(t, at, "DELETE", path, "")
	got.refusal(t, http.StatusMethodNotAllowed)
	require.Equal(t, []string{"GET", "POST"}, got.header.Values("Allow"))
	foreign := baker.Step{Chain: tezos.ChainID{1, 2, 3, 4}, Kind: tezos.Attestation, Level: floor + 5}
	require.Contains(t, ask(t, at, "POST", path, hexBody(foreign.Payload(tezos.Ed25519))).refusal(t, http.StatusForbidden),
		"chain")

	ask(t, at, "POST", path, hexBody(payload)).signature(t, key, payload)
	stale := step(tezos.Attestation, 4).Payload(tezos.Ed25519)
	require.Contains(t, ask(t, at, "POST", path, hexBody(stale)).refusal(t, http.StatusConflict), "not above")
	require.NoError(t, r.store.SetCeiling(
		hwm.CeilingKey{Chain: chain, PKH: key.Hash()}, hwm.Ceiling{Level: floor + 6, Source: hwm.SourceSet}))
	above := step(tezos.Attestation, 7).Payload(tezos.Ed25519)
	require.Contains(t, ask(t, at, "POST", path, hexBody(above)).refusal(t, http.StatusConflict), "ceiling")

	r.ledger.Lock()
	at6 := step(tezos.Attestation, 6).Payload(tezos.Ed25519)
	ask(t, at, "POST", path, hexBody(at6)).refusal(t, http.StatusInternalServerError)
	r.ledger.Unlock()
	require.NoError(t, r.store.Close())
	require.Contains(t, ask(t, at, "POST", path, hexBody(at6)).refusal(t, http.StatusInternalServerError), "closed")
}

func TestVersions(t *testing.T) {
	r := newRig(t).activate()
	at := serve(t, r.octez())
	bls, ed := r.keys[tezos.BLS12381], r.keys[tezos.Ed25519]
	level := int32(0)
	for query, status := range map[string]int{
		"": 200, "?version=2": 200, "?version=3": 200, "?version=3&version=3": 200, "?unknown=1": 200,
		"?version=0": 400, "?version=1": 400, "?version=9": 400, "?version=": 400, "?version=three": 400, "?version=03": 400,
		"?version=%EF%BC%93": 400, "?version=3&version=0": 400, "?version=-3": 400, "?version=3%00": 400,
	} {
		level++
		payload := step(tezos.Attestation, level).Payload(tezos.BLS12381)
		got := ask(t, at, "POST", "/keys/"+bls.Hash().String()+query, hexBody(payload))
		if status == http.StatusOK {
			got.signature(t, bls, payload)
		} else {
			require.Contains(t, got.refusal(t, status), "version", query)
		}
		// For the others the version means nothing.
		payload = step(tezos.Attestation, level).Payload(tezos.Ed25519)
		ask(t, at, "POST", "/keys/"+ed.Hash().String()+query, hexBody(payload)).signature(t, ed, payload)
	}
	for _, query := range []string{"?version=%zz", "?version=0;version=3", "?%"} {
		for curve, key := range r.keys {
			body := hexBody(step(tezos.Attestation, 100).Payload(curve))
			require.Contains(t, ask(t, at, "POST", "/keys/"+key.Hash().String()+query, body).refusal(t, http.StatusBadRequest),
				"query")
		}
	}
}

func TestPathPrefix(t *testing.T) {
	r := newRig(t).activate()
	ed := r.keys[tezos.Ed25519]
	for i, prefix := range []string{"/some/prefix", "/some/prefix/"} {
		at := serve(t, r.octez(func(c *api.OctezConfig) { c.Prefix = prefix }))
		payload := step(tezos.Block, int32(i)+1).Payload(tezos.Ed25519)
		ask(t, at, "POST", "/some/prefix/keys/"+ed.Hash().String(), hexBody(payload)).signature(t, ed, payload)
		require.Equal(t, `{}`, ask(t, at, "GET", "/some/prefix/authorized_keys", "").body)
		for _, outside := range []string{
			"/authorized_keys", "/", "/some/prefix", "/some/prefix/", "/some/prefixauthorized_keys",
			"/some/prefix2/authorized_keys",
			"/some%2Fprefix/authorized_keys", "/some/prefix/some/prefix/authorized_keys", "/some%2F/prefix/authorized_keys",
			"/x/../some/prefix/authorized_keys",
		} {
			ask(t, at, "GET", outside, "").refusal(t, http.StatusNotFound)
		}
		for _, odd := range []string{"//some/prefix/authorized_keys", "/some//prefix//authorized_keys//"} {
			require.Equal(t, `{}`, ask(t, at, "GET", odd, "").body)
		}
		ask(t, at, "DELETE", "/some/prefix/authorized_keys", "").refusal(t, http.StatusMethodNotAllowed)
	}
	at := serve(t, r.octez(func(c *api.OctezConfig) { c.Prefix = "/" }))
	require.Equal(t, `{}`, ask(t, at, "GET", "/authorized_keys", "").body)
}

func TestBodyLimit(t *testing.T) {
	r := newRig(t).activate()
	at := serve(t, r.octez())
	ed := r.keys[tezos.Ed25519]
	path := "/keys/" + ed.Hash().String()
	payload := step(tezos.Attestation, 1).Payload(tezos.Ed25519)
	body := hexBody(payload)
	full := body + strings.Repeat(" ", api.MaxBody-len(body))
	require.Len(t, full, 8<<10)
	ask(t, at, "POST", path, full).signature(t, ed, payload)
	require.Contains(t, ask(t, at, "POST", path, full+" ").refusal(t, http.StatusBadRequest), "8192")
	require.Contains(t, ask(t, at, "POST", path, strings.Repeat("1", 8<<20)).refusal(t, http.StatusBadRequest), "8192")
}

// A request ends with its budget, or with its client: a signer that knows so spends no mark on one that has gone.
func TestHowARequestEnds(t *testing.T) {
	key := client(t, tezos.BLS12381).PublicKey()
	w := waiting{key: key, requests: make(chan context.Context, 1)}
	start := func(budget time.Duration) string {
		return serve(t, api.NewAnswers(api.OctezConfig{Signer: w, ProvePossession: true, Budget: budget}).HTTP())
	}
	sign, prove := "/keys/"+key.Hash().String(), "/bls_prove_possession/"+key.Hash().String()
	hasty, patient := start(20*time.Millisecond), start(time.Hour)
	ask(t, hasty, "POST", sign, attestation(tezos.BLS12381, 1)).refusal(t, http.StatusInternalServerError)
	require.ErrorIs(t, (<-w.requests).Err(), context.DeadlineExceeded)
	ask(t, hasty, "GET", prove, "").refusal(t, http.StatusInternalServerError)
	require.ErrorIs(t, (<-w.requests).Err(), context.DeadlineExceeded)

	for _, text := range []string{
		request("POST", sign, "HTTP/1.1", attestation(tezos.BLS12381, 1)), request("GET", prove, "HTTP/1.1", ""),
	} {
		conn := dial(t, patient)
		_, err := io.WriteString(conn, text)
		require.NoError(t, err)
		ctx := <-w.requests
		require.NoError(t, conn.Close())
		select {
		case <-ctx.Done():
			require.ErrorIs(t, ctx.Err(), context.Canceled)
		case <-time.After(10 * time.Second):
			require.Fail(t, "nobody told the signer that the client has gone")
		}
	}
}
