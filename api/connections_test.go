package api_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// connection is a way by which a request for the host signer.example came.
type connection struct {
	local  net.Addr
	tls    *tls.ConnectionState
	status int // of a request without an Origin
}

func connections() map[string]connection {
	loopback, lan := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 6732},
		&net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 6732}
	return map[string]connection{
		"loopback":              {loopback, nil, http.StatusForbidden},
		"loopback IPv6":         {&net.TCPAddr{IP: net.IPv6loopback, Port: 6732}, nil, http.StatusForbidden},
		"loopback, IPv4 mapped": {&net.TCPAddr{IP: net.ParseIP("::ffff:127.0.0.1"), Port: 6732}, nil, http.StatusForbidden},
		"loopback and TLS":      {loopback, &tls.ConnectionState{}, http.StatusOK},
		"network":               {lan, nil, http.StatusOK},
		"unix socket":           {&net.UnixAddr{Name: "/run/x", Net: "unix"}, nil, http.StatusOK},
	}
}

func (c connection) ask(t *testing.T, h http.Handler, origin string) int {
	t.Helper()
	ctx := context.WithValue(t.Context(), http.LocalAddrContextKey, c.local)
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/authorized_keys", http.NoBody)
	r.Host, r.TLS = "signer.example", c.tls
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

// handle gives a request to a handler, as the server would.
func handle(t *testing.T, h http.Handler, method string, where *url.URL, body string) int {
	t.Helper()
	r := &http.Request{Method: method, URL: where, Host: "localhost", Header: http.Header{}, Body: http.NoBody}
	if body != "" {
		r = httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		r.Method, r.URL = method, where
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r.WithContext(t.Context()))
	return w.Code
}
