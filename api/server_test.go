package api_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/api"
	"highwater/internal/tezos"
)

func request(method, target, version, body string, headers ...string) string {
	return method + " " + target + " " + version + "\r\nHost: localhost\r\n" + strings.Join(append(headers, ""), "\r\n") +
		"Content-Length: " + itoa(len(body)) + "\r\n\r\n" + body
}

func TestVersionsOfHTTP(t *testing.T) {
	r := newRig(t).activate()
	at := serve(t, r.octez())
	key := r.keys[tezos.Ed25519]
	path := "/keys/" + key.Hash().String()
	for i, c := range []struct {
		version string
		header  string
		stays   bool
	}{
		{"HTTP/1.0", "X-A: b", false},
		{"HTTP/1.0", "Connection: keep-alive", true},
		{"HTTP/1.1", "Connection: keep-alive", true},
		{"HTTP/1.1", "X-A: b", true},
		{"HTTP/1.1", "Connection: close", false},
	} {
		conn := dial(t, at)
		from := bufio.NewReader(conn)
		for n := range 2 {
			payload := step(tezos.Attestation, int32(2*i+n+1)).Payload(tezos.Ed25519)
			_, err := io.WriteString(conn, request("POST", path, c.version, hexBody(payload), c.header))
			require.NoError(t, err)
			if n == 1 && !c.stays {
				_, err = from.ReadByte()
				require.Error(t, err, "the connection is closed after the first answer")
				continue
			}
			readReply(t, from, "POST").signature(t, key, payload)
		}
		require.NoError(t, conn.Close())
	}
}

// TestPipelining sends ten requests before it reads the first answer: they come back in order.
func TestPipelining(t *testing.T) {
	r := newRig(t).activate()
	conn := dial(t, serve(t, r.octez()))
	key := r.keys[tezos.P256]
	var all strings.Builder
	for n := range 10 {
		payload := step(tezos.Preattestation, int32(n)+1).Payload(tezos.P256)
		all.WriteString(request("POST", "/keys/"+key.Hash().String(), "HTTP/1.1", hexBody(payload)))
		all.WriteString("GET /authorized_keys HTTP/1.1\r\nHost: localhost\r\n\r\n")
	}
	_, err := io.WriteString(conn, all.String())
	require.NoError(t, err)
	from := bufio.NewReader(conn)
	for n := range 10 {
		payload := step(tezos.Preattestation, int32(n)+1).Payload(tezos.P256)
		readReply(t, from, "POST").signature(t, key, payload)
		require.Equal(t, "{}", readReply(t, from, "GET").body)
	}
}

func TestUnixSocket(t *testing.T) {
	r := newRig(t).activate()
	path := filepath.Join(t.TempDir(), "signer.sock")
	l, err := api.Listen(t.Context(), api.UnixPrefix+path, 0o660)
	require.NoError(t, err)
	stop := serveOn(t, l, r.octez())
	require.Equal(t, os.FileMode(0o660)|os.ModeSocket, mode(t, path))

	key := r.keys[tezos.Secp256k1]
	payload := step(tezos.Block, 1).Payload(tezos.Secp256k1)
	ask(t, path, "POST", "/keys/"+key.Hash().String(), hexBody(payload)).signature(t, key, payload)

	_, err = api.Listen(t.Context(), api.UnixPrefix+path, 0o600)
	require.ErrorContains(t, err, "in use")
	require.Equal(t, `{}`, ask(t, path, "GET", "/authorized_keys", "").body, "it goes on")
	require.NoError(t, stop())
	require.NoFileExists(t, path)
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	return info.Mode()
}

func TestStaleSockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.sock")
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	require.NoError(t, err)
	old.SetUnlinkOnClose(false) // as after kill -9
	require.NoError(t, old.Close())
	require.FileExists(t, path)
	_, err = api.Dial(t.Context(), path)
	require.ErrorIs(t, err, api.ErrNoDaemon)

	l, err := api.Listen(t.Context(), api.UnixPrefix+path, 0o600)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600)|os.ModeSocket, mode(t, path))
	require.NoError(t, l.Close())

	require.NoError(t, os.WriteFile(path, []byte("precious"), 0o600))
	_, err = api.Listen(t.Context(), api.UnixPrefix+path, 0o600)
	require.ErrorContains(t, err, "not a socket")
	require.FileExists(t, path)
	_, err = api.Listen(t.Context(), api.UnixPrefix+filepath.Join(path, "x"), 0o600)
	require.Error(t, err)
	_, err = api.Dial(t.Context(), filepath.Join(t.TempDir(), "nobody"))
	require.ErrorIs(t, err, api.ErrNoDaemon)
}

// TestASocketWithAFullQueueIsInUse: connect says EAGAIN there, which is no sign of nobody.
func TestASocketWithAFullQueueIsInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "busy.sock")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, syscall.Close(fd)) }()
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}))
	require.NoError(t, syscall.Listen(fd, 0))
	dial(t, path)

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = api.Listen(ctx, api.UnixPrefix+path, 0o600)
	require.ErrorContains(t, err, "in use")
	require.FileExists(t, path)
	_, err = api.Dial(ctx, path)
	require.Error(t, err)
	require.NotErrorIs(t, err, api.ErrNoDaemon)
}

func TestTLS(t *testing.T) {
	r := newRig(t).activate()
	certs := newAuthority(t)
	key := r.keys[tezos.Ed25519]
	for i, c := range []struct {
		name     string
		clientCA string
		client   *tls.Certificate
		works    bool
	}{
		{"server only", "", nil, true},
		{"client certificate", certs.caFile, &certs.client, true},
		{"no client certificate", certs.caFile, nil, false},
		{"a stranger's certificate", certs.caFile, &certs.stranger, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := certs.config(t, c.clientCA)
			l, err := api.Listen(t.Context(), "127.0.0.1:0", 0)
			require.NoError(t, err)
			serveOn(t, tls.NewListener(l, config), r.octez())
			mine := &tls.Config{RootCAs: certs.pool, ServerName: "signer"}
			if c.client != nil {
				mine.Certificates = []tls.Certificate{*c.client}
			}
			conn := tls.Client(dial(t, l.Addr().String()), mine)
			payload := step(tezos.Attestation, int32(i)+1).Payload(tezos.Ed25519)
			_, _ = io.WriteString(conn, request("POST", "/keys/"+key.Hash().String(), "HTTP/1.1", hexBody(payload)))
			if c.works {
				readReply(t, bufio.NewReader(conn), "POST").signature(t, key, payload)
				return
			}
			_, err = bufio.NewReader(conn).ReadByte()
			require.ErrorContains(t, err, "tls: ")
			// Nor does anything come without TLS but the hint of the library.
			require.Equal(t, http.StatusBadRequest, ask(t, l.Addr().String(), "GET", "/authorized_keys", "").status)
		})
	}
}

// TestLimits holds the real limits: no listener is without, and a request's budget fits.
func TestLimits(t *testing.T) {
	readHeader, read, write, idle, shutdown, header, conns := api.StandardLimits()
	for _, d := range []time.Duration{readHeader, read, write, idle, shutdown} {
		require.Positive(t, d)
		require.LessOrEqual(t, d, 2*time.Minute)
	}
	require.Greater(t, write, read+30*time.Second, "the longest budget that can be configured")
	require.Greater(t, shutdown, api.DefaultBudget)
	require.Positive(t, header)
	require.LessOrEqual(t, header, 16<<10)
	require.Positive(t, conns)
	// net/http has two buffers of 4 KiB and some more for a connection, and stacks of 8 KiB; what it reads of a body grows
	// by copies.
	const each = 4<<10 + 4<<10 + 16<<10 + 3*api.MaxBody
	require.LessOrEqual(t, conns*(each+header), 64<<20, "all connections of a listener, each as large as it may be")
	require.LessOrEqual(t, api.MaxBody, 8<<10)
}

// within serves with short limits.
func within(t *testing.T, h http.Handler, read, idle time.Duration) string {
	t.Helper()
	l, err := api.Listen(t.Context(), "127.0.0.1:0", 0)
	require.NoError(t, err)
	serving(t, func(ctx context.Context) error {
		return api.ServeWithin(ctx, l, h, slog.New(slog.DiscardHandler), read, idle, 5*time.Second)
	})
	return l.Addr().String()
}

// TestSlowClients are cut off, and keep nobody else waiting.
func TestSlowClients(t *testing.T) {
	r := newRig(t).activate()
	key := r.keys[tezos.Ed25519]
	path := "/keys/" + key.Hash().String()
	at := within(t, r.octez(), 150*time.Millisecond, 150*time.Millisecond)
	full := request("POST", path, "HTTP/1.1", attestation(tezos.Ed25519, 1))
	level := int32(1)
	for _, sent := range []int{0, 1, 10, 40, strings.Index(full, "\r\n\r\n") + 2, len(full) - 30, len(full) - 1} {
		slow := dial(t, at)
		_, err := io.WriteString(slow, full[:sent])
		require.NoError(t, err)

		level++
		payload := step(tezos.Attestation, level).Payload(tezos.Ed25519)
		ask(t, at, "POST", path, hexBody(payload)).signature(t, key, payload)

		rest, err := io.ReadAll(slow) // until the server has enough
		require.NoError(t, err)
		if sent > strings.Index(full, "\r\n\r\n")+2 {
			require.Contains(t, string(rest), "400 Bad Request")
			require.Contains(t, string(rest), `[{"kind":"temporary","id":"failure","msg":"the body could not be read`)
		}
		require.NoError(t, slow.Close())
	}
	// A connection that stays open after an answer is closed when it is idle.
	idle := dial(t, at)
	from := bufio.NewReader(idle)
	_, err := io.WriteString(idle, "GET /authorized_keys HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.NoError(t, err)
	require.Equal(t, "{}", readReply(t, from, "GET").body)
	_, err = from.ReadByte()
	require.ErrorIs(t, err, io.EOF)
}

// TestHalfClosedConnections: who closes its side has gone as far as a server can tell. Whatever it is answered, nothing
// stalls, the mark it moved forbids no repetition of the same bytes, and the next one is served.
func TestHalfClosedConnections(t *testing.T) {
	r := newRig(t).activate()
	at := serve(t, r.octez())
	key := r.keys[tezos.Secp256k1]
	path := "/keys/" + key.Hash().String()
	for n := range 10 {
		payload := step(tezos.Attestation, int32(n)+1).Payload(tezos.Secp256k1)
		conn := dial(t, at)
		_, err := io.WriteString(conn, request("POST", path, "HTTP/1.1", hexBody(payload)))
		require.NoError(t, err)
		tcp, ok := conn.(*net.TCPConn)
		require.True(t, ok)
		require.NoError(t, tcp.CloseWrite())
		got := readReply(t, bufio.NewReader(conn), "POST")
		require.NoError(t, conn.Close())
		again := ask(t, at, "POST", path, hexBody(payload)).signature(t, key, payload)
		if got.status == http.StatusOK {
			require.Equal(t, again.String(), got.signature(t, key, payload).String())
		} else {
			got.refusal(t, http.StatusInternalServerError)
		}
	}
	// Half a request, then nothing any more.
	for _, sent := range []int{1, 30, 120, 200} {
		conn := dial(t, at)
		_, err := io.WriteString(conn, request("POST", path, "HTTP/1.1", attestation(tezos.Secp256k1, 50))[:sent])
		require.NoError(t, err)
		tcp, ok := conn.(*net.TCPConn)
		require.True(t, ok)
		require.NoError(t, tcp.CloseWrite())
		answer, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.NotContains(t, string(answer), "signature")
		require.NoError(t, conn.Close())
	}
	payload := step(tezos.Attestation, 50).Payload(tezos.Secp256k1)
	ask(t, at, "POST", path, hexBody(payload)).signature(t, key, payload)
}

// TestIdleConnections keeps 2,000 connections open, half of them in the middle of a request.
func TestIdleConnections(t *testing.T) {
	r := newRig(t).activate()
	at := serve(t, r.octez())
	key := r.keys[tezos.Ed25519]
	path := "/keys/" + key.Hash().String()
	for n := range 2000 {
		c := dial(t, at)
		if n%2 == 0 {
			_, err := io.WriteString(c, "POST "+path+" HTTP/1.1\r\nHost:")
			require.NoError(t, err)
		}
		if n%50 == 0 {
			payload := step(tezos.Attestation, int32(n)+1).Payload(tezos.Ed25519)
			start := time.Now()
			ask(t, at, "POST", path, hexBody(payload)).signature(t, key, payload)
			require.Less(t, time.Since(start), api.DefaultBudget)
		}
	}
}

// TestShutdownWaits: a request under way is answered, newcomers are not let in.
func TestShutdownWaits(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		close(entered)
		<-leave
		if req.Context().Err() != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, "done")
	})
	l, err := api.Listen(t.Context(), "127.0.0.1:0", 0)
	require.NoError(t, err)
	stop := serveOn(t, l, h)
	conn := dial(t, l.Addr().String())
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.NoError(t, err)
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	require.Eventually(t, func() bool {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
		if err == nil {
			_ = c.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	}, 5*time.Second, time.Millisecond)
	select {
	case err := <-stopped:
		require.Fail(t, "it did not wait", "%v", err)
	default:
	}
	close(leave)
	got := readReply(t, bufio.NewReader(conn), "GET")
	require.Equal(t, http.StatusOK, got.status)
	require.Equal(t, "done", got.body)
	require.NoError(t, <-stopped)
}

// TestShutdownGivesUp: a request that never ends does not keep the process.
func TestShutdownGivesUp(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	defer close(leave)
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(entered); <-leave })
	l, err := api.Listen(t.Context(), "127.0.0.1:0", 0)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- api.ServeWithin(ctx, l, h, slog.New(slog.DiscardHandler), time.Second, time.Second, 50*time.Millisecond)
	}()
	conn := dial(t, l.Addr().String())
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.NoError(t, err)
	<-entered
	cancel()
	require.ErrorIs(t, <-ended, context.DeadlineExceeded)
}
