package failover

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/failover/wire"
	"highwater/hwm"
)

// listener serves a side as the daemon does, and can be taken away.
type listener struct {
	net.Listener
	srv  *http.Server
	done chan error
}

func (s *side) serve(address string) *listener {
	cfg, err := s.node.Server().TLSConfig()
	require.NoError(s.t, err)
	l, err := (&net.ListenConfig{}).Listen(s.t.Context(), "tcp", address)
	require.NoError(s.t, err)
	out := &listener{l, &http.Server{
		Handler: s.node.Server(), ConnContext: s.node.Server().ConnContext, ReadHeaderTimeout: time.Second,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}, make(chan error, 1)}
	go func() { out.done <- out.srv.Serve(tls.NewListener(l, cfg)) }()
	return out
}

func (l *listener) close(t testing.TB) {
	require.NoError(t, l.srv.Close())
	require.ErrorIs(t, <-l.done, http.ErrServerClosed)
}

// newTLSPair is a pair that speaks over loopback, through a proxy each, with both nodes running.
func newTLSPair(t *testing.T) (p *pair, proxies [2]*proxy) {
	p = newPair(t)
	for i, s := range p.sides {
		s.kill()
		s.link = wire.NewClient(nil)
		s.start()
		s.node.link = wire.NewClient(s.store.Identity())
		l := s.serve("127.0.0.1:0")
		t.Cleanup(func() { l.close(t) })
		proxies[i] = newProxy(t, l.Addr().String())
	}
	for i, s := range p.sides {
		peer := hwm.Peer{Address: proxies[1-i].address(), Key: s.other().node.Me()}
		require.NoError(t, s.node.SetPeer(t.Context(), &peer))
	}
	return p, proxies
}

// run runs the nodes until the test ends.
func (p *pair) run(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	for _, s := range p.sides {
		done.Go(func() { s.node.Run(ctx) })
	}
	t.Cleanup(func() { cancel(); done.Wait() })
}

// proxy passes bytes on, or does not.
type proxy struct {
	l    net.Listener
	to   string
	mu   sync.Mutex
	how  func(n int, dir string) bool // whether to pass a chunk on; nil: yes
	n    int
	conn map[net.Conn]bool
	done sync.WaitGroup
}

func newProxy(t *testing.T, to string) *proxy {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{l: l, to: to, conn: map[net.Conn]bool{}}
	p.done.Go(p.accept)
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		p.cut()
		p.done.Wait()
	})
	return p
}

func (p *proxy) address() string { return p.l.Addr().String() }

func (p *proxy) accept() {
	for {
		in, err := p.l.Accept()
		if err != nil {
			return
		}
		out, err := (&net.Dialer{}).Dial("tcp", p.to)
		if err != nil {
			_ = in.Close()
			continue
		}
		p.mu.Lock()
		p.conn[in], p.conn[out] = true, true
		p.mu.Unlock()
		p.done.Go(func() { p.pipe(in, out, "question") })
		p.done.Go(func() { p.pipe(out, in, "answer") })
	}
}

func (p *proxy) pipe(from, to net.Conn, dir string) {
	defer func() { _, _ = from.Close(), to.Close() }()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		p.n++
		pass := p.how == nil || p.how(p.n, dir)
		p.mu.Unlock()
		if !pass {
			return // cut in the middle, as a link does
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// set changes what passes; connections that are open are cut.
func (p *proxy) set(how func(n int, dir string) bool) {
	p.mu.Lock()
	p.how, p.n = how, 0
	p.mu.Unlock()
	p.cut()
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conn {
		_ = c.Close()
	}
	clear(p.conn)
}

func TestOverTLS(t *testing.T) {
	p, _ := newTLSPair(t)
	p.run(t)
	a, b := p.begin()
	require.Equal(t, perLevel, a.bake(p.level))
	// Marks follow without being asked for.
	require.Eventually(t, func() bool {
		rows, err := b.store.Rows()
		return err == nil && len(rows) == perLevel && rows[0].Level == p.level
	}, 10*time.Second, 10*time.Millisecond)
	h := b.handover()
	require.Less(t, h.GapMS, 300.0, "the gap")
	p.level++
	require.Zero(t, a.bake(p.level))
	require.Equal(t, perLevel, b.bake(p.level))
	b.handover() // invites a
	require.Equal(t, hwm.Active, a.role().Role)
	require.Eventually(t, func() bool {
		v := b.node.View()
		return v.Peer.Signing && v.Peer.Following && v.Peer.Reachable
	}, 10*time.Second, 10*time.Millisecond)
	require.Empty(t, p.judge.Doubles())
}

// TestALinkThatIsCutAnywhere cuts the connection of a handover at each chunk that passes, in both directions, until one
// goes through.
func TestALinkThatIsCutAnywhere(t *testing.T) {
	p, proxies := newTLSPair(t)
	a, b := p.begin()
	for cut := 1; ; cut++ {
		require.Less(t, cut, 60)
		link := proxies[0]
		if a == p.sides[1] {
			link = proxies[1]
		}
		link.set(func(n int, _ string) bool { return n < cut })
		_, err := b.node.askForIt(t.Context())
		passed := err == nil
		if !passed {
			is(t, err, wire.Unreachable)
		}
		p.level++
		require.LessOrEqual(t, a.bake(p.level)+b.bake(p.level), perLevel)
		link.set(nil)
		if !passed {
			_, err = b.node.askForIt(t.Context())
			require.NoError(t, err, "asked again after a cut at %d", cut)
		}
		p.level++
		require.Zero(t, a.bake(p.level))
		require.Equal(t, perLevel, b.bake(p.level))
		a, b = b, a
		if passed {
			break
		}
	}
	require.Empty(t, p.judge.Doubles())
}

func TestAnAsymmetricPartition(t *testing.T) {
	p, proxies := newTLSPair(t)
	a, b := p.begin()
	// a's questions reach b, b's do not reach a. The old side still learns of a takeover, from the answer to its own
	// question.
	proxies[0].set(func(int, string) bool { return false })
	_, err := b.node.Ask(t.Context())
	is(t, err, wire.Unreachable)
	require.Equal(t, perLevel, a.bake(p.level))
	_, err = b.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Head: &p.level}) // not true: a lives
	require.NoError(t, err)
	_, err = a.node.Ask(t.Context())
	require.NoError(t, err)
	require.Equal(t, hwm.Standby, a.role().Role)
	p.level += Margin + 1
	require.Zero(t, a.bake(p.level))
	require.Equal(t, perLevel, b.bake(p.level))
	require.Empty(t, p.judge.Doubles(), "the margin covered it")
}

func TestWrongKeys(t *testing.T) {
	p, proxies := newTLSPair(t)
	a, b := p.begin()
	// b expects another key at that address.
	require.NoError(t, b.node.SetPeer(t.Context(), &hwm.Peer{Address: proxies[0].address(), Key: hwm.InstanceID{1}}))
	_, err := b.node.Ask(t.Context())
	is(t, err, wire.WrongKey)
	require.Contains(t, err.Error(), a.node.Me().String())
	require.NoError(t, b.node.SetPeer(t.Context(), &hwm.Peer{Address: proxies[0].address(), Key: a.node.Me()}))
	_, err = b.node.Ask(t.Context())
	require.NoError(t, err)
	// a expects another key to come.
	require.NoError(t, a.node.SetPeer(t.Context(), &hwm.Peer{Address: proxies[1].address(), Key: hwm.InstanceID{1}}))
	_, err = b.node.Ask(t.Context())
	is(t, err, wire.WrongKey)
	require.Contains(t, err.Error(), "does not accept")
	// a has no other instance any more.
	require.NoError(t, a.node.SetPeer(t.Context(), nil))
	_, err = b.node.Ask(t.Context())
	require.Error(t, err)
	_, err = a.node.Ask(t.Context())
	is(t, err, wire.NoPeer)
	for _, bad := range []hwm.Peer{{Address: "nowhere", Key: hwm.InstanceID{1}}, {Address: "x:1", Key: a.node.Me()}} {
		is(t, a.node.SetPeer(t.Context(), &bad), wire.WrongKey)
	}
}

// TestStrangersGetNothing speaks to the listener without TLS, without a certificate, and to the handler without the
// listener.
func TestStrangersGetNothing(t *testing.T) {
	p := newPair(t)
	a, _ := p.begin()
	l := a.serve("127.0.0.1:0")
	defer l.close(t)
	plain := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := plain.Post("http://"+l.Addr().String()+"/v1/status", "application/json", strings.NewReader("{}")) //nolint:noctx // loopback
	if err == nil {
		require.NotEqual(t, http.StatusOK, resp.StatusCode)
		require.NoError(t, resp.Body.Close())
	}
	naked, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true}) //nolint:noctx // loopback
	if err == nil {
		_, err = naked.Write([]byte("POST /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"))
		if err == nil {
			_, err = io.ReadAll(naked)
		}
		_ = naked.Close() // the other end has closed it
	}
	require.ErrorContains(t, err, "tls")
	for _, verb := range []string{wire.Status, wire.Follow, wire.Release} {
		w := &recorder{header: http.Header{}}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/"+verb, strings.NewReader("{}"))
		require.NoError(t, err)
		a.node.Server().ServeHTTP(w, r)
		require.Equal(t, http.StatusForbidden, w.status)
	}
}

// recorder is a response that nobody reads.
type recorder struct {
	bytes.Buffer
	header http.Header
	status int
}

func (r *recorder) Header() http.Header { return r.header }
func (r *recorder) WriteHeader(s int)   { r.status = s }
