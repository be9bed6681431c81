package api_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mr-tron/base58"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"highwater/api"
	"highwater/guard"
	"highwater/internal/audit"
	"highwater/internal/baker"
	"highwater/internal/certs"
	"highwater/internal/device"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
	"highwater/ledger"
	"highwater/ledger/ledgersim"
	"highwater/operate"
	"highwater/signer"
	"highwater/store"
	"highwater/tezsign"
	"highwater/tezsign/tezsignsim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// chain is no chain that exists.
var chain = tezos.ChainID{'t', 'e', 's', 't'}

// floor is the level at and below which nothing is signed after activate.
const floor = 1000

// rig is a whole signer without its configuration: emulated devices, a store on disk, the real handlers.
type rig struct {
	t       *testing.T
	store   *store.DB
	signer  *signer.Signer
	admin   *operate.Local
	metrics *api.Metrics
	ledger  *ledgersim.Device
	gadget  *tezsignsim.Gadget
	devices []signer.Device // ledger, gadget
	keys    map[tezos.Curve]*tezos.PublicKey
	guard   *guard.Guard // see paired
	memory  *guard.Memory
}

// newRig starts everything and waits until both devices are ready. The role is standby, and there are no marks.
func newRig(t *testing.T, policies ...signer.KeyPolicy) *rig {
	t.Helper()
	return newRigLogging(t, slog.New(slog.DiscardHandler), policies...)
}

// newRigLogging is newRig with a log for all of it.
func newRigLogging(t *testing.T, log *slog.Logger, policies ...signer.KeyPolicy) *rig {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	r := &rig{t: t, metrics: api.NewMetrics(), keys: map[tezos.Curve]*tezos.PublicKey{}}
	dir := filepath.Join(t.TempDir(), "state")
	require.NoError(t, store.Create(t.Context(), dir, time.Now()))
	var err error
	r.store, err = store.Open(t.Context(), dir, store.Options{OnCommit: r.metrics.ObserveCommit, Log: log})
	require.NoError(t, err)

	r.ledger, err = ledgersim.New(ledgersim.Options{
		Seed: t.Name(), Decide: ledgersim.Always(ledgersim.Accept),
		Setup: []ledgersim.Setup{
			{Curve: ledger.Ed25519, Chain: chain},
			{Curve: ledger.Secp256k1, Chain: chain},
			{Curve: ledger.P256, Chain: chain},
		},
	})
	require.NoError(t, err)
	left, err := ledger.New(ledger.Config{
		Name: "left", Chain: chain, Dial: r.ledger.Dial, Log: log, Tick: 5 * time.Millisecond,
	})
	require.NoError(t, err)
	r.gadget, err = tezsignsim.New(tezsignsim.Options{Seed: t.Name(), Keys: []string{"consensus"}})
	require.NoError(t, err)
	right := tezsign.New(tezsign.Config{Name: "right", Chain: chain, Open: r.gadget.Open, Log: log})

	r.devices = []signer.Device{left, right}
	r.signer = signer.New(signer.Config{
		Chain: chain, Store: r.store, Devices: r.devices, Observe: r.metrics.Observe, Keys: policies, Log: log,
	})
	r.admin = &operate.Local{Signer: r.signer, Store: r.store, Version: "test", Running: true, Now: time.Now}
	r.admin.Audit = func() *audit.State { return &audit.State{Record: 7, Lost: 1} }
	r.admin.Certificates = func() []certs.Row {
		return []certs.Row{{
			Setting: "server.tls_cert", File: "cert.pem", Subject: "CN=signer",
			Ends: time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC),
		}}
	}
	r.metrics.Collect(r.admin)
	left.SetReconciler(r.signer.Reconciler(left.Name()))
	right.SetReconciler(r.signer.Reconciler(right.Name()))
	r.run(left.Run, right.Run)

	r.awaitReady(left, right)
	r.signer.Learn()
	for _, k := range r.signer.Keys() {
		r.keys[k.PKH.Curve] = k.PublicKey
	}
	if len(policies) == 0 {
		require.Len(t, r.keys, 4)
	}
	return r
}

// run starts devices and signer, and ends them in their order when the test does.
func (r *rig) run(devices ...func(context.Context)) {
	deviceCtx, stopDevices := context.WithCancel(context.Background())
	signerCtx, stopSigner := context.WithCancel(context.Background())
	var running, signing sync.WaitGroup
	for _, d := range devices {
		running.Go(func() { d(deviceCtx) })
	}
	signing.Go(func() { r.signer.Run(signerCtx) })
	r.t.Cleanup(func() {
		stopSigner()
		signing.Wait()
		stopDevices()
		running.Wait()
		require.NoError(r.t, r.gadget.Close())
		if err := r.store.Close(); err != nil {
			require.ErrorIs(r.t, err, store.ErrClosed)
		}
	})
}

func (r *rig) awaitReady(devices ...signer.Device) {
	r.t.Helper()
	for _, d := range devices {
		require.Eventually(r.t, func() bool { return d.Status().Health == device.Ready }, 10*time.Second, time.Millisecond)
	}
}

// activate sets all floors and makes the instance the one that signs.
func (r *rig) activate() *rig {
	r.t.Helper()
	level := int32(floor)
	_, err := r.admin.Activate(r.t.Context(), operate.ActivateRequest{Level: &level, Why: "test"})
	require.NoError(r.t, err)
	return r
}

// octez gives the octez handler over the rig's signer.
func (r *rig) octez(change ...func(*api.OctezConfig)) http.Handler {
	cfg := api.OctezConfig{Signer: r.signer}
	for _, f := range change {
		f(&cfg)
	}
	return api.NewAnswers(cfg).HTTP()
}

// serve answers on a free port until the test ends, and gives its address.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	l, err := api.Listen(t.Context(), "127.0.0.1:0", 0)
	require.NoError(t, err)
	serveOn(t, l, h)
	return l.Addr().String()
}

// serveOn answers on l; the returned function stops it, as the end of the test does.
func serveOn(t *testing.T, l net.Listener, h http.Handler) (stop func() error) {
	t.Helper()
	return serving(t, func(ctx context.Context) error { return api.Serve(ctx, l, h, slog.New(slog.DiscardHandler)) })
}

func serving(t *testing.T, f func(context.Context) error) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { require.NoError(t, stop()) })
	return stop
}

// step is what a baker asks for at a level above the floor.
func step(kind tezos.Kind, level int32) baker.Step {
	return baker.Step{Chain: chain, Kind: kind, Level: floor + level}
}

// attestation is the JSON body for an attestation of a curve at a level above the floor.
func attestation(curve tezos.Curve, level int32) string {
	return hexBody(step(tezos.Attestation, level).Payload(curve))
}

func hexBody(payload []byte) string { return `"` + hex.EncodeToString(payload) + `"` }

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   string
}

// ask does one request on a connection of its own.
func ask(t *testing.T, address, method, target, body string) reply {
	t.Helper()
	return raw(t, address, method+" "+target+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"+
		"Content-Type: application/json\r\n"+
		"Content-Length: "+itoa(len(body))+"\r\n\r\n"+body)
}

// raw writes bytes on a connection of their own, and reads one answer.
func raw(t *testing.T, address, request string) reply {
	t.Helper()
	c := dial(t, address)
	got := exchange(t, c, request)
	require.NoError(t, c.Close())
	return got
}

// dial opens a connection; the end of the test closes it at the latest.
func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	c, err := (&net.Dialer{}).DialContext(t.Context(), network, address)
	require.NoError(t, err)
	require.NoError(t, c.SetDeadline(time.Now().Add(30*time.Second)))
	t.Cleanup(func() { closeOnce(t, c) })
	return c
}

func closeOnce(t *testing.T, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		require.ErrorIs(t, err, net.ErrClosed)
	}
}

// exchange writes in the background: a server may answer, and stop reading, before it has everything.
func exchange(t *testing.T, c net.Conn, request string) reply {
	t.Helper()
	written := make(chan struct{})
	go func() { defer close(written); _, _ = io.WriteString(c, request) }()
	method, _, _ := strings.Cut(request, " ")
	got := readReply(t, bufio.NewReader(c), method)
	require.NoError(t, c.SetWriteDeadline(time.Now()))
	<-written
	return got
}

func readReply(t *testing.T, from *bufio.Reader, method string) reply {
	t.Helper()
	resp, err := http.ReadResponse(from, &http.Request{Method: method})
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, errors.Join(err, resp.Body.Close()))
	return reply{resp.StatusCode, resp.Header, string(body)}
}

// message checks that an answer is octez's array of errors and nothing after it, and gives the text.
func (r reply) message(t *testing.T) string {
	t.Helper()
	require.Equal(t, "application/json", r.header.Get("Content-Type"), r.body)
	dec := json.NewDecoder(strings.NewReader(r.body))
	dec.DisallowUnknownFields()
	var list []struct{ Kind, ID, Msg string }
	require.NoError(t, dec.Decode(&list), r.body)
	require.Len(t, list, 1)
	require.Equal(t, "temporary", list[0].Kind)
	require.Equal(t, "failure", list[0].ID)
	require.NotEmpty(t, list[0].Msg)
	require.True(t, strings.HasSuffix(r.body, "]"), "something follows the JSON value: %q", r.body)
	return list[0].Msg
}

// refusal checks status and shape of an error, and gives its text.
func (r reply) refusal(t *testing.T, status int) string {
	t.Helper()
	require.Equal(t, status, r.status, r.body)
	return r.message(t)
}

// signature checks that an answer is one, of exactly this payload.
func (r reply) signature(t *testing.T, key *tezos.PublicKey, payload []byte) tezos.Signature {
	t.Helper()
	require.Equal(t, http.StatusOK, r.status, r.body)
	require.True(t, strings.HasPrefix(r.body, `{"signature":"`) && strings.HasSuffix(r.body, `"}`), r.body)
	var v struct{ Signature tezos.Signature }
	require.NoError(t, json.Unmarshal([]byte(r.body), &v))
	require.NoError(t, key.Verify(payload, v.Signature))
	return v.Signature
}

// client is a key that a client of the signer has.
func client(t testing.TB, curve tezos.Curve) *softkey.Key {
	t.Helper()
	k, err := softkey.New(curve, bytes.Repeat([]byte("client "), 4))
	require.NoError(t, err)
	return k
}

func itoa(n int) string { return strconv.Itoa(n) }

// base58check is the text of bytes behind a prefix.
func base58check(prefix, payload []byte) string {
	b := append(bytes.Clone(prefix), payload...)
	first := sha256.Sum256(b)
	second := sha256.Sum256(first[:])
	return base58.Encode(append(b, second[:4]...))
}

func repeat(s string, n int) string { return strings.Repeat(s, n) }
