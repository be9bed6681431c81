package socket_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"highwater/api"
	"highwater/api/socket"
	"highwater/api/socket/client"
	"highwater/api/socket/message"
	"highwater/internal/conns"
	"highwater/internal/door"
	"highwater/internal/logtest"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
	"highwater/signer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keys is a signer with soft keys, which signs everything; entered and leave hold requests, if they are there.
type keys struct {
	held           map[tezos.PublicKeyHash]*softkey.Key
	entered, leave chan struct{}
}

func newKeys(t testing.TB) *keys {
	t.Helper()
	k := &keys{held: map[tezos.PublicKeyHash]*softkey.Key{}}
	for _, curve := range []tezos.Curve{tezos.Ed25519, tezos.Secp256k1, tezos.P256, tezos.BLS12381} {
		key := soft(t, curve, "held by the signer")
		k.held[key.PublicKey().Hash()] = key
	}
	return k
}

func soft(t testing.TB, curve tezos.Curve, seed string) *softkey.Key {
	t.Helper()
	key, err := softkey.New(curve, []byte(strings.Repeat(seed, 2)))
	require.NoError(t, err)
	return key
}

func (k *keys) find(pkh tezos.PublicKeyHash) (*softkey.Key, error) {
	key, ok := k.held[pkh]
	if !ok {
		return nil, &signer.Denial{Reason: signer.UnknownKey, Text: "no device holds " + pkh.String(), Hint: "plug it in"}
	}
	return key, nil
}

func (k *keys) Sign(ctx context.Context, pkh tezos.PublicKeyHash, payload []byte) (tezos.Signature, error) {
	if k.entered != nil {
		k.entered <- struct{}{}
		select {
		case <-k.leave:
		case <-ctx.Done():
			return tezos.Signature{}, context.Cause(ctx)
		}
	}
	key, err := k.find(pkh)
	if err != nil {
		return tezos.Signature{}, err
	}
	return key.Sign(payload), nil
}

func (k *keys) PublicKey(pkh tezos.PublicKeyHash) (*tezos.PublicKey, error) {
	key, err := k.find(pkh)
	if err != nil {
		return nil, err
	}
	return key.PublicKey(), nil
}

func (k *keys) Prove(_ context.Context, pkh tezos.PublicKeyHash) (tezos.Signature, error) {
	key, err := k.find(pkh)
	if err != nil {
		return tezos.Signature{}, err
	}
	return key.Prove(), nil
}

func (k *keys) Keys() (out []signer.KeyInfo) {
	for pkh, key := range k.held {
		out = append(out, signer.KeyInfo{PKH: pkh, PublicKey: key.PublicKey()})
	}
	return out
}

// served is a listener of the socket protocol.
type served struct {
	at   string // as client.Dial takes it
	said *logtest.Log
	idle <-chan struct{} // told each time that a connection begins to wait for a request, with limits.Idle an hour
	stop func() error
}

// idling is a listener whose connections tell when they begin to wait for a request.
type idling struct {
	net.Listener
	idle chan<- struct{}
}

// Accept implements net.Listener.
func (l idling) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &idlingConn{c, l.idle}, nil
}

type idlingConn struct {
	net.Conn
	idle chan<- struct{}
}

// SetReadDeadline implements net.Conn.
func (c *idlingConn) SetReadDeadline(t time.Time) error {
	if time.Until(t) > time.Hour/2 {
		c.idle <- struct{}{}
	}
	return c.Conn.SetReadDeadline(t)
}

// serve answers at a unix socket, or at TCP, until the test ends.
func serve(t *testing.T, address string, k *keys, limits conns.Limits, change ...func(*api.OctezConfig)) served {
	t.Helper()
	said := &logtest.Log{}
	cfg := api.OctezConfig{Signer: k, Door: door.New(door.Config{Log: slog.New(slog.NewTextHandler(said, nil))})}
	for _, f := range change {
		f(&cfg)
	}
	answers := api.NewAnswers(cfg)
	l, err := api.Listen(t.Context(), address, 0o600)
	require.NoError(t, err)
	at := "tcp://" + l.Addr().String()
	if strings.HasPrefix(address, "unix:") {
		at = address
	}
	l = answers.SocketListener(l, api.Locators{HTTP: "http://127.0.0.1:6732", Socket: at})
	ctx, cancel := context.WithCancel(context.Background())
	ended, idle := make(chan error, 1), make(chan struct{}, 100)
	go func() { ended <- socket.ServeWithin(ctx, idling{l, idle}, answers, limits) }()
	stop := sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = stop() })
	return served{at, said, idle, stop}
}

func (s served) dial(t *testing.T) *client.Conn {
	t.Helper()
	c, err := client.Dial(t.Context(), s.at)
	require.NoError(t, err)
	require.NoError(t, c.SetDeadline(time.Now().Add(30*time.Second)))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

const anyPort = "127.0.0.1:0"

func unixAddress(t *testing.T) string { return "unix:" + filepath.Join(t.TempDir(), "s") }

func refusal(t *testing.T, err error) string {
	t.Helper()
	var refused *message.RefusedError
	require.ErrorAs(t, err, &refused)
	return refused.Text
}

// TestEveryRequest: all eight requests, for each curve, over TCP and over a unix socket.
func TestEveryRequest(t *testing.T) {
	for name, address := range map[string]string{"tcp": anyPort, "unix": unixAddress(t)} {
		t.Run(name, func(t *testing.T) {
			k := newKeys(t)
			c := serve(t, address, k, conns.Standard(),
				func(cfg *api.OctezConfig) { cfg.KnownKeys, cfg.ProvePossession = true, true }).dial(t)
			for pkh, key := range k.held {
				payload := append([]byte{0x13}, pkh.Hash[:]...)
				sig, err := c.Sign(key.PublicKey(), payload, nil)
				require.NoError(t, err)
				require.NoError(t, key.PublicKey().Verify(payload, sig))

				raw, err := c.Ask(message.Request{Kind: message.PublicKey, PKH: pkh})
				require.NoError(t, err)
				require.Equal(t, append([]byte{byte(pkh.Curve)}, key.PublicKey().Bytes()...), raw)

				no, err := c.Ask(message.Request{Kind: message.SupportsNonces, PKH: pkh})
				require.NoError(t, err)
				require.Equal(t, []byte{0}, no)

				for _, kind := range []message.Kind{message.DeterministicNonce, message.NonceHash} {
					_, err = c.Ask(message.Request{Kind: kind, PKH: pkh, Data: payload})
					require.Contains(t, refusal(t, err), "deterministic nonces")
				}
			}
			raw, err := c.Ask(message.Request{Kind: message.KnownKeys})
			require.NoError(t, err)
			require.Len(t, raw, 4+4*21)

			bls := soft(t, tezos.BLS12381, "held by the signer").PublicKey()
			for _, over := range [][]byte{nil, bls.Bytes()} {
				raw, err = c.Ask(message.Request{Kind: message.ProvePossession, PKH: bls.Hash(), OverKey: over})
				require.NoError(t, err)
				var proof tezos.Signature
				proof, err = tezos.SignatureFromBytes(raw)
				require.NoError(t, err)
				require.NoError(t, bls.VerifyPossession(proof))
			}
			other := soft(t, tezos.BLS12381, "of somebody else").PublicKey()
			_, err = c.Ask(message.Request{Kind: message.ProvePossession, PKH: bls.Hash(), OverKey: other.Bytes()})
			require.Contains(t, refusal(t, err), "for the key itself only")
		})
	}
}

// TestRefusals: what the operator switched off, what is unknown, and schemes that are not signed; the connection stays.
func TestRefusals(t *testing.T) {
	k := newKeys(t)
	c := serve(t, anyPort, k, conns.Standard()).dial(t)
	stranger := soft(t, tezos.Ed25519, "of somebody else").PublicKey().Hash()
	bls := soft(t, tezos.BLS12381, "held by the signer").PublicKey().Hash()
	one := uint8(1)
	for text, q := range map[string]message.Request{
		"no device holds " + stranger.String() + " (hint: plug it in)": {
			Kind: message.Sign, PKH: stranger, Data: []byte{0x13},
		},
		"no device holds":                      {Kind: message.PublicKey, PKH: stranger},
		"no device holds " + stranger.String(): {Kind: message.SupportsNonces, PKH: stranger},
		"known_keys = true":                    {Kind: message.KnownKeys},
		"prove_possession = true":              {Kind: message.ProvePossession, PKH: bls},
		`signature version "1" is another BLS scheme`: {
			Kind: message.Sign, PKH: bls, Version: &one, Data: []byte{0x13},
		},
		"the message asks for 0x09, which is no request": {Kind: 9},
		"the data has 5000 bytes, and may have 4096": {
			Kind: message.Sign, PKH: stranger, Data: make([]byte, 4096+904),
		},
		"unknown public key hash tag 0x07":            {Kind: message.PublicKey, PKH: tezos.PublicKeyHash{Curve: 7}},
		"the message ends within the public key hash": {Kind: message.Kind(1)},
		"bytes follow the data: a signature has 64 or 96": {
			Kind: message.Sign, PKH: stranger, Data: []byte{1}, Authentication: []byte{1, 2},
		},
		"a signature version stands beside a tz1 key; only": {
			Kind: message.Sign, PKH: stranger, Version: &one, Data: []byte{1},
		},
	} {
		b := q.Bytes()
		if text == "the message ends within the public key hash" {
			b = []byte{0, 2, 1, 0}
		}
		if strings.HasPrefix(text, "the data has 5000") { // longer than the message itself
			b = append([]byte{0, 26}, b[2:28]...)
		}
		_, err := c.Write(b)
		require.NoError(t, err)
		_, err = c.Answer()
		require.Contains(t, refusal(t, err), text)
	}
	_, err := c.Ask(message.Request{Kind: message.AuthorizedKeys})
	require.NoError(t, err)
}

// TestAuthentication: as over HTTP, by raw signatures of every curve.
func TestAuthentication(t *testing.T) {
	k := newKeys(t)
	mine := map[tezos.Curve]*softkey.Key{}
	var authorized []*tezos.PublicKey
	for _, curve := range []tezos.Curve{tezos.Ed25519, tezos.Secp256k1, tezos.P256, tezos.BLS12381} {
		mine[curve] = soft(t, curve, "of the client")
		authorized = append(authorized, mine[curve].PublicKey())
	}
	s := serve(t, anyPort, k, conns.Standard(), func(c *api.OctezConfig) { c.AuthorizedKeys = authorized })
	c := s.dial(t)
	raw, err := c.Ask(message.Request{Kind: message.AuthorizedKeys})
	require.NoError(t, err)
	require.Equal(t, byte(1), raw[0])
	require.Equal(t, append([]byte{0, 0, 0, 4 * 21}, authorized[0].Hash().Bytes()...), raw[1:1+4+21])
	for _, key := range k.held {
		payload := []byte{0x13, byte(key.Curve())}
		for _, by := range mine {
			sig, err := c.Sign(key.PublicKey(), payload, by)
			require.NoError(t, err)
			require.NoError(t, key.PublicKey().Verify(payload, sig))
		}
		for text, by := range map[string]client.Signer{
			"is not authenticated": nil, "not by an authorized key": soft(t, tezos.P256, "of a stranger"),
		} {
			_, err := c.Sign(key.PublicKey(), payload, by)
			require.Contains(t, refusal(t, err), text)
		}
	}
	require.Len(t, s.said.Lines(""), 1)
	require.Contains(t, s.said.Lines("")[0], "cause=unauthenticated client=127.0.0.1")
}

// TestAuthenticatedProofs: with authorized keys a proof wants a signature of 04 04, the address and the key to be proven.
func TestAuthenticatedProofs(t *testing.T) {
	k := newKeys(t)
	mine := soft(t, tezos.Ed25519, "of the client")
	c := serve(t, anyPort, k, conns.Standard(), func(c *api.OctezConfig) {
		c.ProvePossession, c.AuthorizedKeys = true, []*tezos.PublicKey{mine.PublicKey()}
	}).dial(t)
	bls := soft(t, tezos.BLS12381, "held by the signer").PublicKey()
	for _, over := range [][]byte{nil, bls.Bytes()} {
		q := message.Request{Kind: message.ProvePossession, PKH: bls.Hash(), OverKey: over}
		signed := append(append([]byte{4, 4}, bls.Hash().Bytes()...), over...)
		q.Authentication = mine.Sign(signed).Bytes()
		_, err := c.Ask(q)
		require.NoError(t, err)
		q.Authentication = mine.Sign(append(signed, 0)).Bytes()
		_, err = c.Ask(q)
		require.Contains(t, refusal(t, err), "not by an authorized key")
		q.Authentication = nil
		_, err = c.Ask(q)
		require.Contains(t, refusal(t, err), "highwater keys pop")
	}
}

// TestOtherProtocols: an HTTP client and a TLS client are known by their first bytes, and answered where they can print
// it.
func TestOtherProtocols(t *testing.T) {
	s := serve(t, anyPort, newKeys(t), conns.Standard())
	for _, path := range []string{"/authorized_keys", "/keys/tz1Ke2h7sDdakHJQh8WX4Z372du1KChsksyU"} {
		resp, err := http.Get("http://" + strings.TrimPrefix(s.at, "tcp://") + path) //nolint:noctx // a test's own server
		require.NoError(t, err)
		require.Equal(t, http.StatusNotFound, resp.StatusCode)
		var list []struct{ Kind, ID, Msg string }
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&list))
		require.NoError(t, resp.Body.Close())
		require.Equal(t, "failure", list[0].ID)
		require.Contains(t, list[0].Msg, "http://127.0.0.1:6732/tz1…")
	}
	c := s.dial(t)
	_, err := c.Write([]byte{0x16, 3, 1, 2, 0})
	require.NoError(t, err)
	_, err = io.ReadAll(c)
	require.NoError(t, err)
	require.Len(t, s.said.Lines(""), 1, "one line for the client, not one for each request")
	require.Contains(t, s.said.Lines("")[0], "cause=wrong_protocol")
}

// TestHalfMessages: time-outs and ends within a message are told; silence is not.
func TestHalfMessages(t *testing.T) {
	limits := conns.Standard()
	limits.ReadHeader, limits.Idle = 20*time.Millisecond, 300*time.Millisecond
	s := serve(t, anyPort, newKeys(t), limits)
	for name, half := range map[string]string{
		"half a length": "\x00", "half a message": "\x00\x16\x01\x00", "all but one byte": "\x00\x02\x02",
	} {
		c := s.dial(t)
		_, err := io.WriteString(c, half)
		require.NoError(t, err, name)
		_, err = c.Answer()
		require.Contains(t, refusal(t, err), "did not come in time", name)
		_, err = io.ReadAll(c)
		require.NoError(t, err, name)
	}
	c := s.dial(t)
	_, err := c.Write([]byte{0x11, 0x01})
	require.NoError(t, err)
	_, err = c.Answer()
	require.Contains(t, refusal(t, err), "the message has 4353 bytes, and may have 4352")

	quiet := s.dial(t)
	_, err = quiet.Ask(message.Request{Kind: message.AuthorizedKeys})
	require.NoError(t, err)
	rest, err := io.ReadAll(quiet)
	require.NoError(t, err)
	require.Empty(t, rest)
}

// TestTheEnd: it waits for the request at work, and for nothing else; the request is answered.
func TestTheEnd(t *testing.T) {
	k := newKeys(t)
	k.entered, k.leave = make(chan struct{}, 1), make(chan struct{})
	s := serve(t, unixAddress(t), k, conns.Standard())
	silent, half, busy := s.dial(t), s.dial(t), s.dial(t)
	_, err := half.Write([]byte{0})
	require.NoError(t, err)
	key := soft(t, tezos.Ed25519, "held by the signer")
	_, err = busy.Write(client.SignRequest(key.PublicKey().Hash(), []byte{0x13}).Bytes())
	require.NoError(t, err)
	<-k.entered
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	for _, c := range []net.Conn{silent, half} {
		_, err = c.Read(make([]byte, 1))
		require.Error(t, err)
		require.NotErrorIs(t, err, context.DeadlineExceeded)
	}
	require.Empty(t, stopped)
	close(k.leave)
	raw, err := busy.Answer()
	require.NoError(t, err)
	require.Len(t, raw, 64)
	require.NoError(t, <-stopped)
}

// TestAClientThatGoes: its request is not waited for any more, and no other is disturbed.
func TestAClientThatGoes(t *testing.T) {
	k := newKeys(t)
	k.entered, k.leave = make(chan struct{}, 1), make(chan struct{})
	limits := conns.Standard()
	limits.Shutdown = time.Second
	s := serve(t, unixAddress(t), k, limits, func(c *api.OctezConfig) { c.Budget = 5 * time.Second })
	key := soft(t, tezos.Ed25519, "held by the signer")
	c := s.dial(t)
	_, err := c.Write(client.SignRequest(key.PublicKey().Hash(), []byte{0x13}).Bytes())
	require.NoError(t, err)
	<-k.entered
	require.NoError(t, c.Close())
	require.NoError(t, s.stop(), "the request would last five seconds")
}

// TestNewcomers: with all places taken, the connection that is silent for longest gives way.
func TestNewcomers(t *testing.T) {
	limits := conns.Standard()
	limits.Conns, limits.Idle = 2, time.Hour
	s := serve(t, unixAddress(t), newKeys(t), limits)
	ask := func(c *client.Conn) error {
		_, err := c.Ask(message.Request{Kind: message.AuthorizedKeys})
		return err
	}
	first, second := s.dial(t), s.dial(t)
	<-s.idle
	<-s.idle
	for _, c := range []*client.Conn{first, second} {
		require.NoError(t, ask(c))
		<-s.idle // the answer comes a moment before
	}
	third := s.dial(t)
	require.NoError(t, ask(third))
	require.Error(t, ask(first))
	require.NoError(t, ask(second))
}

// TestPipelined: requests that are sent before an answer came are answered in their order.
func TestPipelined(t *testing.T) {
	c := serve(t, anyPort, newKeys(t), conns.Standard()).dial(t)
	key := soft(t, tezos.Ed25519, "held by the signer")
	var all []byte
	for i := range 20 {
		all = append(all, client.SignRequest(key.PublicKey().Hash(), []byte{0x13, byte(i)}).Bytes()...)
	}
	_, err := c.Write(all)
	require.NoError(t, err)
	for i := range 20 {
		raw, err := c.Answer()
		require.NoError(t, err)
		sig, err := tezos.SignatureFromBytes(raw)
		require.NoError(t, err)
		require.NoError(t, key.PublicKey().Verify([]byte{0x13, byte(i)}, sig))
	}
}

// TestManyClients: each gets its own answers.
func TestManyClients(t *testing.T) {
	k := newKeys(t)
	s := serve(t, unixAddress(t), k, conns.Standard())
	var all sync.WaitGroup
	for _, key := range k.held {
		for n := range 5 {
			all.Go(func() {
				c, err := client.Dial(context.Background(), s.at)
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				for i := range 20 {
					payload := []byte{0x13, byte(n), byte(i)}
					sig, err := c.Sign(key.PublicKey(), payload, nil)
					if err = errors.Join(err, key.PublicKey().Verify(payload, sig)); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	all.Wait()
}
