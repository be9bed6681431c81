package node_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"highwater/internal/baker"
	"highwater/internal/node"
	"highwater/internal/node/nodesim"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var chain = tezos.ChainID{1, 2, 3, 4}

func newKey(t *testing.T, curve tezos.Curve, seed byte) *softkey.Key {
	t.Helper()
	k, err := softkey.New(curve, []byte{
		seed, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29,
		30, 31,
	})
	require.NoError(t, err)
	return k
}

func self(k *softkey.Key) node.Signer {
	return node.Signer{Delegate: k.PublicKey().Hash(), Key: k.PublicKey().Hash()}
}

func serve(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func client(t *testing.T, url string) *node.Client {
	t.Helper()
	c, err := node.New(node.Config{URL: url})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func sign(t *testing.T, n *nodesim.Node, k *softkey.Key, step baker.Step) {
	t.Helper()
	step.Chain = chain
	payload := step.Payload(k.Curve())
	require.NoError(t, n.Note(k.PublicKey().Hash(), payload, k.Sign(payload)))
}

func TestAddresses(t *testing.T) {
	for _, bad := range []string{"", "127.0.0.1:8732", "ftp://x", "http://", "http://x/?a=b", "http://x#y", "://"} {
		_, err := node.New(node.Config{URL: bad})
		require.Error(t, err, bad)
	}
	c, err := node.New(node.Config{URL: "https://user:secret@host:1/token/"})
	require.NoError(t, err)
	require.Equal(t, "https://host:1", c.String())
}

func TestWhatANodeTells(t *testing.T) {
	tz1, tz4, other := newKey(t, tezos.Ed25519, 1), newKey(t, tezos.BLS12381, 2), newKey(t, tezos.BLS12381, 3)
	n := nodesim.New(nodesim.Config{Chain: chain, Bakers: []node.Signer{self(tz1), self(tz4), self(other)}})
	c := client(t, serve(t, http.StripPrefix("/token", n)).URL+"/token")
	ctx := t.Context()

	h, err := c.Check(ctx, chain, time.Now(), time.Minute)
	require.NoError(t, err)
	require.Equal(t, n.Head(), h.Head)
	v, err := c.Version(ctx)
	require.NoError(t, err)
	require.Equal(t, "octez 24.0", v.String())

	sign(t, n, tz1, baker.Step{Kind: tezos.Attestation, Level: 1000, DAL: 3})
	sign(t, n, tz4, baker.Step{Kind: tezos.Attestation, Level: 1000})
	sign(t, n, other, baker.Step{Kind: tezos.Attestation, Level: 1000})
	sign(t, n, tz4, baker.Step{Kind: tezos.Preattestation, Level: 1001})
	sign(t, n, tz4, baker.Step{Kind: tezos.Attestation, Level: 1001})
	sign(t, n, tz1, baker.Step{Kind: tezos.Block, Level: 1001, Round: 2})
	head := n.Advance()
	require.Equal(t, int32(2), head.Round)

	got, err := c.Header(ctx, head.Hash)
	require.NoError(t, err)
	require.Equal(t, head, got)
	ops, err := c.ConsensusOperations(ctx, head.Hash)
	require.NoError(t, err)
	require.Len(t, ops, 3, "one alone, one aggregate of two, one of one; the attestation of this level is for the "+
		"next block")
	require.Equal(t, []node.Signer{self(tz4), self(other)}, ops[1].Signers)
	require.Equal(t, tezos.Preattestation, ops[2].Kind)

	// What is built from the answer is what was signed.
	require.NoError(t, tz1.PublicKey().Verify(ops[0].Payload(chain, tezos.Ed25519), ops[0].Signature))
	require.NoError(t, tz4.PublicKey().Verify(ops[1].Payload(chain, tezos.BLS12381), ops[1].Signature))
	makers, err := c.Makers(ctx, head.Hash)
	require.NoError(t, err)
	require.Equal(t, self(tz1), makers.Baker)
	raw, err := c.RawHeader(ctx, head.Hash)
	require.NoError(t, err)
	payload, sig, err := node.BlockPayload(chain, tezos.Ed25519, raw)
	require.NoError(t, err)
	require.NoError(t, tz1.PublicKey().Verify(payload, sig))
}

func TestRightsOfANode(t *testing.T) {
	mine, theirs := newKey(t, tezos.Ed25519, 1), newKey(t, tezos.Ed25519, 2)
	own := node.Signer{Delegate: theirs.PublicKey().Hash(), Key: mine.PublicKey().Hash()} // a consensus key
	rest := node.Signer{Delegate: mine.PublicKey().Hash(), Key: theirs.PublicKey().Hash()}
	n := nodesim.New(nodesim.Config{
		Chain: chain, Bakers: []node.Signer{own, rest},
		HasRights: func(level int32, _ node.Signer) bool { return level != 1002 },
	})
	c := client(t, serve(t, n).URL)
	q := node.RightsQuery{ConsensusKeys: []tezos.PublicKeyHash{own.Key}, Levels: []int32{1001, 1002, 1003}, MaxRound: 3}
	baking, err := c.BakingRights(t.Context(), q)
	require.NoError(t, err)
	require.Len(t, baking, 6, "every other round of three levels")
	attesting, err := c.AttestationRights(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, []node.AttestationRight{{Signer: own, Level: 1001}, {Signer: own, Level: 1003}}, attesting)

	for _, bad := range []node.RightsQuery{
		{},
		{Levels: []int32{1}},
		{ConsensusKeys: q.ConsensusKeys},
		{ConsensusKeys: q.ConsensusKeys, Levels: []int32{-1}},
		{ConsensusKeys: q.ConsensusKeys, Levels: make([]int32, node.MaxRightsLevels+1)},
	} {
		_, err = c.BakingRights(t.Context(), bad)
		require.Error(t, err)
		_, err = c.AttestationRights(t.Context(), bad)
		require.Error(t, err)
	}
	lying := client(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, "1001", "1004")
		n.ServeHTTP(w, r)
	})).URL)
	_, err = lying.AttestationRights(t.Context(), q)
	require.ErrorIs(t, err, node.ErrAnswer)
	_, err = lying.BakingRights(t.Context(), q)
	require.ErrorIs(t, err, node.ErrAnswer)
}

func hint(t *testing.T, err error) string {
	t.Helper()
	var e *node.Error
	require.ErrorAs(t, err, &e)
	return e.HintText()
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	n := nodesim.New(nodesim.Config{Chain: chain})
	srv := serve(t, n)
	c := client(t, srv.URL)
	check := func() error {
		_, err := c.Check(t.Context(), chain, time.Now(), time.Minute)
		return err
	}
	for state, text := range map[nodesim.Faults]string{
		{Starting: true}:          "still catching up, at level 1000",
		{State: "stuck"}:          "sync state stuck",
		{Chain: tezos.ChainID{9}}: "while NetX",
	} {
		n.SetFaults(state)
		err := check()
		require.ErrorContains(t, err, text)
		require.ErrorContains(t, err, "the node at "+srv.URL)
		require.NotEmpty(t, hint(t, err))
	}
	n.SetFaults(nodesim.Faults{Starting: true})
	require.ErrorIs(t, check(), node.ErrNotSynced)
	n.SetFaults(nodesim.Faults{Chain: tezos.ChainID{9}})
	require.ErrorIs(t, check(), node.ErrWrongChain)
	n.SetFaults(nodesim.Faults{Down: true})
	require.ErrorIs(t, check(), node.ErrUnreachable)
	n.SetFaults(nodesim.Faults{})
	require.NoError(t, check())
	_, err := c.Check(t.Context(), chain, time.Now().Add(2*time.Minute), time.Minute)
	require.ErrorIs(t, err, node.ErrNotSynced, "an old head")

	_, err = c.Header(t.Context(), tezos.Hash32{1})
	require.ErrorIs(t, err, node.ErrNotFound)
	srv.Close()
	err = check()
	require.ErrorIs(t, err, node.ErrUnreachable)
	require.Contains(t, hint(t, err), "octez-node")
}

func TestASlowNodeIsGivenUp(t *testing.T) {
	n := nodesim.New(nodesim.Config{Chain: chain})
	n.SetFaults(nodesim.Faults{Delay: time.Hour})
	c, err := node.New(node.Config{URL: serve(t, n).URL, Timeout: 20 * time.Millisecond})
	require.NoError(t, err)
	defer c.Close()
	_, err = c.ChainID(t.Context())
	require.ErrorIs(t, err, node.ErrUnreachable)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "no answer in time")
}

// A token in the node's address is in no error.
func TestErrorsShowNoToken(t *testing.T) {
	srv := serve(t, http.NotFoundHandler())
	c := client(t, srv.URL+"/very-secret-token")
	_, err := c.ChainID(t.Context())
	require.ErrorIs(t, err, node.ErrNotFound)
	require.NotContains(t, err.Error()+hint(t, err), "secret")
	srv.Close()
	_, err = c.ChainID(t.Context())
	require.ErrorIs(t, err, node.ErrUnreachable)
	require.NotContains(t, err.Error()+hint(t, err), "secret")
}

func TestOddAnswersAreErrors(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"html": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"too long": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`"` + strings.Repeat("x", 1<<20) + `"`))
		},
		"other":     func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{}`)) },
		"two":       func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`"NetXdQprcVkpaWU" 1`)) },
		"empty":     func(http.ResponseWriter, *http.Request) {},
		"bad check": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`"NetXdQprcVkpaWV"`)) },
	} {
		_, err := client(t, serve(t, h).URL).ChainID(t.Context())
		require.ErrorIs(t, err, node.ErrAnswer, name)
	}
	_, err := client(t, serve(t, http.RedirectHandler("/elsewhere", http.StatusFound)).URL).ChainID(t.Context())
	require.ErrorIs(t, err, node.ErrRefused)
	_, err = client(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
	})).URL).ChainID(t.Context())
	require.Contains(t, hint(t, err), "access list")
}

// A raw header that is not the block that was asked for is refused: its hash tells.
func TestRawHeaderOfAnotherBlock(t *testing.T) {
	n := nodesim.New(nodesim.Config{Chain: chain})
	first := n.Head()
	second := n.Advance()
	c := client(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = strings.ReplaceAll(r.URL.Path, first.Hash.BlockHash(), second.Hash.BlockHash())
		n.ServeHTTP(w, r)
	})).URL)
	_, err := c.RawHeader(t.Context(), first.Hash)
	require.ErrorIs(t, err, node.ErrAnswer)
	_, err = c.Header(t.Context(), first.Hash)
	require.ErrorIs(t, err, node.ErrAnswer)
	_, err = c.RawHeader(t.Context(), second.Hash)
	require.NoError(t, err)
}

// watch starts a watcher; its end is waited for.
func watch(t *testing.T, w *node.Watcher) (heads chan node.Header, downs chan error) {
	t.Helper()
	heads, downs = make(chan node.Header, 64), make(chan error, 64)
	w.Head = func(_ context.Context, h node.Header) { heads <- h }
	w.Down = func(err error) { downs <- err }
	w.Chain = chain
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return heads, downs
}

func TestWatcherFollowsOverCuts(t *testing.T) {
	n := nodesim.New(nodesim.Config{Chain: chain})
	srv := serve(t, n)
	t.Cleanup(n.Cut) // before the server closes
	heads, downs := watch(t, &node.Watcher{Client: client(t, srv.URL)})
	require.Equal(t, n.Head(), <-heads)
	require.Equal(t, n.Advance(), <-heads)
	n.Cut()
	require.ErrorIs(t, <-downs, node.ErrUnreachable)
	require.Equal(t, n.Head(), <-heads, "the head again, on the new connection")
	n.Advance()
	<-heads
	require.Equal(t, n.Reorganise(1, true), <-heads)

	n.SetFaults(nodesim.Faults{Chain: tezos.ChainID{9}})
	require.ErrorIs(t, <-downs, node.ErrUnreachable, "the stream was cut")
	require.ErrorIs(t, <-downs, node.ErrWrongChain)
	n.SetFaults(nodesim.Faults{})
	require.Equal(t, n.Head(), <-heads)
}

func TestWatcherGivesUpASilentStream(t *testing.T) {
	n := nodesim.New(nodesim.Config{Chain: chain})
	srv := serve(t, n)
	heads, downs := watch(t, &node.Watcher{Client: client(t, srv.URL), Idle: 50 * time.Millisecond})
	require.Equal(t, n.Head(), <-heads)
	err := <-downs
	require.ErrorIs(t, err, node.ErrNotSynced)
	require.ErrorContains(t, err, "no head came")
	require.Equal(t, n.Head(), <-heads)
}

func TestWatcherBoundsWhatItReads(t *testing.T) {
	var asked atomic.Int32
	srv := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/chains/main/chain_id" {
			_, _ = w.Write([]byte(`"` + chain.String() + `"`))
			return
		}
		if asked.Add(1) == 1 {
			_, _ = w.Write([]byte(`{"hash":"` + strings.Repeat("B", 1<<20) + `"}`))
			return
		}
		_, _ = w.Write([]byte("{]"))
	}))
	_, downs := watch(t, &node.Watcher{Client: client(t, srv.URL)})
	require.ErrorIs(t, <-downs, node.ErrAnswer)
	require.ErrorIs(t, <-downs, node.ErrAnswer)
}

// paths lists the fields of a JSON value with their types, list elements folded together.
func paths(at string, v any, into map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			paths(at+"."+k, x, into)
		}
	case []any:
		for _, x := range v {
			paths(at+"[]", x, into)
		}
	case string:
		into[at+" text"] = true
	case float64:
		into[at+" number"] = true
	default:
		into[at+" other"] = true
	}
}

// The emulated node's aggregates have exactly the fields of the recorded ones.
func TestEmulatedNodeHasTheRecordedShape(t *testing.T) {
	b, err := os.ReadFile("../../testdata/octez/block-operations-seoul.json")
	require.NoError(t, err)
	var recorded struct {
		Operations []any `json:"operations"`
	}
	require.NoError(t, json.Unmarshal(b, &recorded))
	want, got := map[string]bool{}, map[string]bool{}
	paths("", recorded.Operations[0], want)
	require.NotEmpty(t, want)

	n := nodesim.New(nodesim.Config{Chain: chain})
	sign(t, n, newKey(t, tezos.BLS12381, 1), baker.Step{Kind: tezos.Attestation, Level: 1000})
	sign(t, n, newKey(t, tezos.BLS12381, 2), baker.Step{Kind: tezos.Attestation, Level: 1000})
	w := httptest.NewRecorder()
	n.ServeHTTP(w, httptest.NewRequestWithContext(
		t.Context(), http.MethodGet, "/chains/main/blocks/"+n.Advance().Hash.BlockHash()+"/operations/0", http.NoBody))
	var emulated any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &emulated))
	paths("", emulated, got)
	require.Equal(t, want, got)
}

// TestRedirectsAreNamed: nothing follows them, and the target is told without its path, which may hold a token.
func TestRedirectsAreNamed(t *testing.T) {
	for target, want := range map[string]string{
		"https://rpc.example/token/x": "status 308: a redirect to https://rpc.example",
		"/token/elsewhere":            "status 308: a redirect to another path of http://127.0.0.1",
	} {
		c := client(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", target)
			w.WriteHeader(http.StatusPermanentRedirect)
		})).URL)
		_, err := c.ChainID(t.Context())
		require.ErrorIs(t, err, node.ErrRefused)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "token")
	}
}

func TestClock(t *testing.T) {
	there := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	date := there.Format(http.TimeFormat)
	c := client(t, serve(t, http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) { w.Header()["Date"] = []string{date} })).URL)
	start := time.Unix(1000, 0)
	ticks := 0
	now := func() time.Time { ticks++; return start.Add(time.Duration(ticks) * 10 * time.Second) }
	got, here, err := c.Clock(t.Context(), now)
	require.NoError(t, err)
	require.WithinDuration(t, there, got, time.Second)
	require.Equal(t, start.Add(15*time.Second), here, "the middle of the exchange")
	date = "yesterday"
	_, _, err = c.Clock(t.Context(), now)
	require.ErrorIs(t, err, node.ErrAnswer)
}
