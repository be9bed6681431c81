package api_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/api"
	"highwater/internal/tezos"
	"highwater/signer"
)

// counting is a signer that holds one key, and counts what it is asked to sign.
type counting struct {
	key   *tezos.PublicKey
	signs atomic.Int32
}

func (c *counting) Sign(_ context.Context, pkh tezos.PublicKeyHash, _ []byte) (tezos.Signature, error) {
	c.signs.Add(1)
	return tezos.Signature{}, &signer.Denial{Reason: signer.UnknownKey, Text: "counted " + pkh.String()}
}

func (c *counting) PublicKey(tezos.PublicKeyHash) (*tezos.PublicKey, error) { return c.key, nil }
func (c *counting) Keys() []signer.KeyInfo                                  { return nil }
func (c *counting) Prove(context.Context, tezos.PublicKeyHash) (tezos.Signature, error) {
	c.signs.Add(1)
	return tezos.Signature{}, &signer.Denial{Reason: signer.UnknownKey}
}

// TestOnlyOnePlaceSigns: of all methods and odd paths, POST to /keys/ADDRESS alone reaches the signer; what
// octez-signer takes for that path, by dropping empty segments, is that path here too.
func TestOnlyOnePlaceSigns(t *testing.T) {
	c := &counting{key: client(t, tezos.Ed25519).PublicKey()}
	at := serve(t, api.NewAnswers(api.OctezConfig{Signer: c}).HTTP())
	address := c.key.Hash().String()
	body := attestation(tezos.Ed25519, 1)
	signs := []string{
		"/keys/" + address, "//keys/" + address, "/keys//" + address, "/keys/" + address + "/",
		"///keys///" + address + "///",
	}
	odd := []string{
		"/keys", "/keys/", "/" + address, "/keys/" + address + "/x", "/keys/x/" + address, "/keys/./" + address,
		"/keys/../keys/" + address,
		"/./keys/" + address, "/x/../keys/" + address, "/%2Fkeys/" + address, "/keys%2F" + address, "/keys/%2F" + address,
		"/keys/" + address + "%2F",
		"/keys/" + address + "%00", "/keys/" + address + "%20", "/Keys/" + address, "/keys/" + strings.ToUpper(address),
		"/keys;x/" + address,
		"/keys/" + address + ";x", "/keys/" + address + "%3Fx", "/keys/" + address[:len(address)-1], "/sign/" + address,
		"/authorized_keys/" + address,
		"/known_keys", "/bls_prove_possession/" + address, "/v1/prove", "/", "//", "/%6Beys",
		"/keys/" + address + "," + address,
	}
	for _, path := range signs {
		before := c.signs.Load()
		require.Contains(t, ask(t, at, http.MethodPost, path, body).refusal(t, http.StatusNotFound), "counted", path)
		require.Equal(t, before+1, c.signs.Load(), path)
	}
	before := c.signs.Load()
	for _, path := range odd {
		got := ask(t, at, http.MethodPost, path, body)
		require.GreaterOrEqual(t, got.status, 400, path)
		got.message(t)
	}
	for _, method := range []string{
		"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "post", "Post", "POSTS", "SIGN",
	} {
		for _, path := range append(odd, signs...) {
			ask(t, at, method, path, body)
		}
	}
	require.Equal(t, before, c.signs.Load())
}

// FuzzPathsThatSign: a path that reaches the signer is, without its empty segments, /keys/ADDRESS.
func FuzzPathsThatSign(f *testing.F) {
	c := &counting{key: client(f, tezos.Ed25519).PublicKey()}
	address := c.key.Hash().String()
	h := api.NewAnswers(api.OctezConfig{Signer: c}).HTTP()
	for _, path := range []string{
		"/keys/" + address, "//keys//" + address + "/", "/keys/%74" + address[1:], "/keys%2F" + address, "/%2F",
	} {
		f.Add("POST", path)
	}
	f.Fuzz(func(t *testing.T, method, path string) {
		where, err := url.ParseRequestURI(path)
		if err != nil || where.Host != "" {
			return
		}
		before := c.signs.Load()
		handle(t, h, method, where, attestation(tezos.Ed25519, 1))
		if c.signs.Load() == before {
			return
		}
		require.Equal(t, http.MethodPost, method)
		var segments []string
		for segment := range strings.SplitSeq(where.EscapedPath(), "/") {
			if segment != "" {
				plain, err := url.PathUnescape(segment)
				require.NoError(t, err)
				segments = append(segments, plain)
			}
		}
		require.Equal(t, []string{"keys", address}, segments)
	})
}

// TestWebPagesReachNothing: whatever a page asks for, on either listener; and what a machine asks for is answered.
func TestWebPagesReachNothing(t *testing.T) {
	r := newRig(t).activate()
	octez, monitor := serve(t, r.octez()), serve(t, api.NewMonitor(r.admin, r.metrics))
	key := r.keys[tezos.Ed25519]
	asked := map[string][]string{
		octez: {
			"GET /authorized_keys", "GET /keys/" + key.Hash().String(), "POST /keys/" + key.Hash().String(),
			"OPTIONS /keys/x", "GET /none",
		},
		monitor: {"GET /", "GET /status", "GET /metrics", "GET /healthz", "GET /readyz", "GET /none"},
	}
	for at, requests := range asked {
		for _, line := range requests {
			send := func(host, header string) reply {
				return raw(t, at, line+" HTTP/1.1\r\nHost: "+host+"\r\n"+header+"Connection: close\r\nContent-Length: 0\r\n\r\n")
			}
			require.NotEqual(t, http.StatusForbidden, send("localhost", "").status, line)
			require.NotEqual(t, http.StatusForbidden, send("127.0.0.1:6732", "").status, line)
			require.NotEqual(t, http.StatusForbidden, send("[::1]:1", "").status, line)
			for _, host := range []string{
				"evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "192.0.2.1:6732", "[2001:db8::1]", "0.0.0.0",
			} {
				require.Equal(t, http.StatusForbidden, send(host, "").status, "%s %s", line, host)
			}
			require.Equal(t, http.StatusForbidden, send("localhost", "Origin: https://evil.example\r\n").status, line)
			for _, site := range []string{"cross-site", "same-site", "cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe"} {
				require.Equal(t, http.StatusForbidden, send("localhost", "Sec-Fetch-Site: "+site+"\r\n").status, "%s %s", line, site)
			}
			for _, site := range []string{"none", "same-origin", "cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document"} {
				require.NotEqual(t, http.StatusForbidden, send("localhost", "Sec-Fetch-Site: "+site+"\r\n").status, "%s %s", line, site)
			}
		}
	}
}

// TestTheMonitorOnlyReads: no method but GET reaches anything; the two probes may be HEAD.
func TestTheMonitorOnlyReads(t *testing.T) {
	r := newRig(t)
	at := serve(t, api.NewMonitor(r.admin, r.metrics))
	for _, path := range []string{"/", "/status", "/history", "/metrics", "/healthz", "/readyz", "/live.js", "/events"} {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"} {
			require.Equal(t, http.StatusMethodNotAllowed, ask(t, at, method, path, "").status, "%s %s", method, path)
		}
	}
	for path, status := range map[string]int{
		"/healthz": http.StatusOK, "/readyz": http.StatusServiceUnavailable, "/events": http.StatusMethodNotAllowed,
	} {
		require.Equal(t, status, ask(t, at, "HEAD", path, "").status, path)
	}
}

// TestHostBeyondLoopback: what came over a network, a unix socket or TLS may call this machine by any name; an Origin
// is refused there too.
func TestHostBeyondLoopback(t *testing.T) {
	h := api.NewAnswers(api.OctezConfig{Signer: nobody{}}).HTTP()
	for name, over := range connections() {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, over.status, over.ask(t, h, ""))
			require.Equal(t, http.StatusForbidden, over.ask(t, h, "https://evil.example"))
		})
	}
}
