package failover

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"highwater/failover/heard"
	"highwater/failover/wire"
	"highwater/guard"
	"highwater/hwm"
	"highwater/internal/baker"
	"highwater/internal/device"
	"highwater/internal/node"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
	"highwater/signer"
	"highwater/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ghost is a test chain.
var ghost = tezos.ChainID{1, 2, 3, 4}

// start is the level at which every pair begins.
const start = 1000

// errCrash is what a store says from the moment at which its process died.
var errCrash = errors.New("the process died here")

// frail is a store whose process dies at a chosen write: before it is durable, or after.
type frail struct {
	*store.DB
	mu        sync.Mutex
	countdown int // writes until then; negative: never
	after     bool
	dead      bool

	// breaks makes the chosen write one that fails and leaves the process alive: with after, the write is on the disk all
	// the same.
	breaks bool
	sick   error // what all says from then on
	role   hwm.RoleRecord
	peer   *hwm.Peer
	known  []hwm.Row
}

// errSick is what a store says after a failed commit.
var errSick = errors.New("a commit to the watermark file failed: no space left on device")

// write runs one durable write, or the end of the process.
func (f *frail) write(do func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.locked(do)
}

func (f *frail) locked(do func() error) error {
	if f.dead {
		return errCrash
	}
	if f.sick != nil {
		return f.sick
	}
	if f.countdown == 0 && f.breaks {
		return f.sicken(do)
	}
	if f.countdown == 0 {
		f.dead = true
		if f.after {
			if err := do(); err != nil {
				return err
			}
		}
		return errCrash
	}
	f.countdown--
	return do()
}

// sicken lets a write fail. Memory keeps what was durable before it, whatever the disk holds.
func (f *frail) sicken(do func() error) error {
	f.role, f.known = f.DB.Role(), f.DB.Known()
	if p, ok := f.DB.Peer(); ok {
		f.peer = &p
	}
	if f.after {
		if err := do(); err != nil {
			return err
		}
	}
	f.sick = errSick
	return errSick
}

func (f *frail) isSick() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sick
}

// Healthy, and all that shows memory, are the broken store's own.
func (f *frail) Healthy() error { return f.isSick() }

func (f *frail) Role() hwm.RoleRecord {
	if f.isSick() != nil {
		return f.role
	}
	return f.DB.Role()
}

func (f *frail) Peer() (hwm.Peer, bool) {
	if f.isSick() != nil && f.peer != nil {
		return *f.peer, true
	}
	return f.DB.Peer()
}

func (f *frail) Rows() ([]hwm.Row, error) {
	if err := f.isSick(); err != nil {
		return nil, err
	}
	return f.DB.Rows()
}

func (f *frail) Known() []hwm.Row {
	if f.isSick() != nil {
		return f.known
	}
	return f.DB.Known()
}

func (f *frail) SetAlarms(alarms []hwm.Alarm) error {
	if err := f.isSick(); err != nil {
		return err
	}
	return f.DB.SetAlarms(alarms)
}

func (f *frail) SetRole(next hwm.RoleRecord, floors []hwm.Row, c ...hwm.CeilingChange) error {
	return f.write(func() error { return f.DB.SetRole(next, floors, c...) })
}

func (f *frail) SetPeer(p *hwm.Peer) error { return f.write(func() error { return f.DB.SetPeer(p) }) }

func (f *frail) Raise(rows []hwm.Row) (c []hwm.Change, err error) {
	if len(rows) == 0 && !f.isDead() && f.isSick() == nil {
		return f.DB.Raise(nil) // it writes nothing
	}
	err = f.write(func() error { c, err = f.DB.Raise(rows); return err })
	return c, err
}

func (f *frail) State(key hwm.Key) (hwm.State, error) {
	if f.isDead() {
		return hwm.State{}, errCrash
	}
	if err := f.isSick(); err != nil {
		return hwm.State{}, err
	}
	return f.DB.State(key)
}

func (f *frail) isDead() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

func (f *frail) Advance(key hwm.Key, m hwm.Mark) (hwm.Pending, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sick != nil {
		return nil, f.sick
	}
	if f.countdown != 0 && !f.dead {
		f.countdown--
		return f.DB.Advance(key, m)
	}
	err := f.locked(func() error {
		p, err := f.DB.Advance(key, m)
		if err != nil {
			return err
		}
		return p.Wait()
	})
	return crashed{err}, nil
}

type crashed struct{ err error }

func (c crashed) Wait() error { return c.err }

// gadget is a device with keys in memory: both sides have one of the same seed.
type gadget struct {
	name string // empty: gadget
	keys []*softkey.Key
	// health, when set, is its state
	health device.Health
	hold   chan struct{} // when set, a signature waits for it
	in     chan struct{} // told that a signature waits
}

func (g *gadget) Name() string             { return cmp.Or(g.name, "gadget") }
func (g *gadget) Changed() <-chan struct{} { return nil }
func (g *gadget) Status() device.Status {
	return device.Status{Health: cmp.Or(g.health, device.Ready)}
}

func (g *gadget) Keys() (out []device.Key) {
	for _, k := range g.keys {
		out = append(out, device.Key{PublicKey: k.PublicKey(), Kinds: tezos.Kinds})
	}
	return out
}
func (g *gadget) Turn(context.Context) (device.Turn, error) { return g, nil }
func (g *gadget) Done()                                     {}
func (g *gadget) Sign(_ context.Context, pkh tezos.PublicKeyHash, payload []byte) (tezos.Signature, error) {
	if g.hold != nil {
		select {
		case g.in <- struct{}{}:
		default:
		}
		<-g.hold
	}
	for _, k := range g.keys {
		if k.PublicKey().Hash() == pkh {
			return k.Sign(payload), nil
		}
	}
	return tezos.Signature{}, device.ErrNoKey
}

func newGadget(t testing.TB) *gadget {
	g := &gadget{}
	for _, curve := range []tezos.Curve{tezos.Ed25519, tezos.P256} {
		k, err := softkey.New(curve, bytes.Repeat([]byte{7}, softkey.MinSeed))
		require.NoError(t, err)
		g.keys = append(g.keys, k)
	}
	return g
}

// side is one of the two machines.
type side struct {
	t      testing.TB
	name   byte
	dir    string
	pair   *pair
	gadget *gadget
	more   []signer.Device
	chain  heard.Chain
	link   Link // nil: the pair's cable
	copyOf *side
	log    slog.Handler // nil: one that fails the test at a line with a lock in hand
	// offline makes the next process one that is no daemon
	offline bool

	up bool
	// counted tells that this process's failed disk is counted
	counted bool
	store   *frail
	signer  *signer.Signer
	node    *Node

	octez  *node.Client // nil: no guard
	memory *guard.Memory
	guard  *guard.Guard
	blind  func() // ends the guard
}

func (s *side) alarms() []signer.Alarm { return s.signer.Alarms() }

func (s *side) observe(o signer.Outcome) {
	if s.memory != nil {
		s.memory.Observe(o)
	}
}

func (s *side) changed(hwm.RoleRecord) {
	if s.guard != nil {
		s.guard.Poke()
	}
}

// pair is two machines, what is between them, and who judges.
type pair struct {
	t     testing.TB
	judge *baker.Judge
	level int32
	sides [2]*side
	every time.Duration // between two questions
	cable cable
}

func newPair(t testing.TB) *pair {
	p := &pair{t: t, judge: baker.NewJudge(), level: start, every: 10 * time.Millisecond}
	p.cable.pair = p
	dir := fastDir(t)
	for i := range p.sides {
		p.sides[i] = &side{
			t: t, name: byte('a' + i), dir: filepath.Join(dir, string(rune('a'+i))), pair: p,
			gadget: newGadget(t),
		}
		require.NoError(t, store.Create(t.Context(), p.sides[i].dir, time.Now()))
	}
	for _, s := range p.sides {
		s.start()
	}
	for i, s := range p.sides {
		other := p.sides[1-i]
		require.NoError(t, s.node.SetPeer(t.Context(), &hwm.Peer{Address: "other:1", Key: other.node.Me()}))
	}
	t.Cleanup(func() {
		for _, s := range p.sides {
			s.kill()
		}
	})
	return p
}

// fastDir is in memory where it can be: a process dies here, a machine does not.
func fastDir(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "highwater-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// begin makes the first side the active one.
func (p *pair) begin() (a, b *side) {
	level := int32(start)
	_, err := p.sides[0].node.Activate(p.t.Context(), &level, "begin")
	require.NoError(p.t, err)
	p.level++
	return p.sides[0], p.sides[1]
}

// start is what a process does: it opens its store, and is held when there is another instance.
func (s *side) start() {
	db, err := store.Open(s.t.Context(), s.dir, store.Options{})
	require.NoError(s.t, err)
	s.store, s.counted = &frail{DB: db, countdown: -1}, false
	_, paired := db.Peer()
	log := slog.New(cmp.Or[slog.Handler](s.log, &lockWatch{Handler: slog.DiscardHandler, side: s}))
	s.signer = signer.New(signer.Config{
		Log: log, Chain: ghost, Store: s.store, Devices: append([]signer.Device{s.gadget}, s.more...), Hold: paired,
		Observe: s.observe, Changed: s.changed,
		Awake: func(ctx context.Context) { s.node.Awake(ctx) }, Head: s.head,
	})
	s.signer.Learn()
	link := s.link
	if link == nil {
		link = &cableEnd{&s.pair.cable, s}
	}
	s.node = New(Config{
		Log: log, Signer: s.signer, Store: s.store, Link: link, Chain: s.chain, Every: s.pair.every, Offline: s.offline,
	})
	if s.octez != nil {
		s.watch()
	}
	s.node.boot(s.t.Context())
	s.up = true
}

// kill ends the process: what is not on disk is gone.
func (s *side) kill() {
	if s.up {
		s.up = false
		if s.guard != nil {
			s.blind()
		}
		require.NoError(s.t, s.store.Close())
	}
}

func (s *side) head() *hwm.Known {
	if s.node == nil {
		return nil
	}
	return s.node.Heads().Known()
}

func (s *side) restart() {
	s.kill()
	s.start()
}

func (s *side) other() *side {
	if s.copyOf != nil {
		return s.copyOf.other()
	}
	if s.pair.sides[0] == s {
		return s.pair.sides[1]
	}
	return s.pair.sides[0]
}

func (s *side) role() hwm.RoleRecord { return s.store.Role() }

// bake asks for everything at a level, as a baker of this side does: its bytes are not the other side's. It counts what
// it got.
func (s *side) bake(level int32) (signed int) {
	if !s.up {
		return 0
	}
	for _, key := range s.gadget.keys {
		for _, kind := range tezos.Kinds {
			payload := baker.Step{Chain: ghost, Kind: kind, Level: level, Variant: s.name}.Payload(key.PublicKey().Curve())
			sig, err := s.signer.Sign(s.t.Context(), key.PublicKey().Hash(), payload)
			if err != nil {
				continue
			}
			_, err = s.pair.judge.Note(key.PublicKey().Hash(), payload, sig)
			require.NoError(s.t, err)
			signed++
		}
	}
	return signed
}

// perLevel is how many signatures there are at a level.
const perLevel = 6

// cable carries messages between the two, as JSON, and may lose or keep them.
type cable struct {
	pair    *pair
	cut     bool                                      // nothing gets through
	lose    func(verb string) (question, answer bool) // nil: nothing is lost
	twice   func(verb string) bool                    // a question that arrives twice
	answers []late                                    // all that ever was answered
}

// late is an answer that may arrive once more, at any time.
type late struct {
	to   *side
	verb string
	body []byte
}

// cableEnd is the cable as one side sees it.
type cableEnd struct {
	*cable
	from *side
}

func (w *cableEnd) Call(ctx context.Context, peer hwm.Peer, verb string, q wire.Question) (wire.Answer, error) {
	to := w.from.other()
	lost, answerLost := false, false
	if w.lose != nil {
		lost, answerLost = w.lose(verb)
	}
	if w.cut || !to.up || lost || peer.Key != to.node.Me() {
		return wire.Answer{}, wire.Refuse(wire.Unreachable, "", "the other instance does not answer")
	}
	q = over[wire.Question](w.from.t, q)
	ctx = to.node.Server().ConnContext(ctx, nil)
	if w.twice != nil && w.twice(verb) {
		w.keep(verb, to.node.handle(ctx, verb, q))
	}
	a := to.node.handle(ctx, verb, q)
	if to.store.dead {
		to.kill()
		return wire.Answer{}, wire.Refuse(wire.Unreachable, "", "the other instance died")
	}
	w.keep(verb, a)
	if answerLost {
		return wire.Answer{}, wire.Refuse(wire.Unreachable, "", "the answer was lost")
	}
	return over[wire.Answer](w.from.t, a), nil
}

func (w *cableEnd) keep(verb string, a wire.Answer) {
	body, err := json.Marshal(a)
	require.NoError(w.from.t, err)
	w.answers = append(w.answers, late{w.from, verb, body})
}

func (w *cableEnd) Follow(ctx context.Context, _ hwm.Peer, q wire.Question, each func(wire.Answer) error) error {
	to := w.from.other()
	if w.cut || !to.up {
		return wire.Refuse(wire.Unreachable, "", "the other instance does not answer")
	}
	return each(over[wire.Answer](
		w.from.t, to.node.handle(to.node.Server().ConnContext(ctx, nil), wire.Follow, over[wire.Question](w.from.t, q))))
}

// deliver gives a side an answer again.
func (l late) deliver(t testing.TB) error {
	a, err := wire.Parse[wire.Answer](l.body)
	require.NoError(t, err)
	if a.Certificate != nil {
		return l.to.node.onCertificate(t.Context(), a.Certificate, nil)
	}
	return l.to.node.onStatus(t.Context(), a)
}

// over is a message after its way through JSON and the parser.
func over[T wire.Question | wire.Answer](t testing.TB, m T) T {
	body, err := json.Marshal(m)
	require.NoError(t, err)
	out, err := wire.Parse[T](body)
	require.NoError(t, err, string(body))
	return out
}

// is wants a refusal for a reason.
func is(t testing.TB, err error, reason string) {
	t.Helper()
	var r *wire.Refusal
	require.ErrorAs(t, err, &r)
	require.Equal(t, reason, r.Reason, r.Text)
	require.NotEmpty(t, r.Text)
}

func level(n int32) *int32 { return &n }

// underWay lets a device begin with a block at a level, and keeps it there until release is called. The answer to the
// baker is sent to answered.
func (s *side) underWay(level int32) (release func(), answered <-chan error) {
	s.t.Helper()
	hold := make(chan struct{})
	s.gadget.hold, s.gadget.in = hold, make(chan struct{}, 1)
	key := s.gadget.keys[0].PublicKey()
	answers := make(chan error, 1)
	go func() {
		_, err := s.signer.Sign(s.t.Context(), key.Hash(),
			baker.Step{Chain: ghost, Kind: tezos.Block, Level: level, Variant: s.name}.Payload(key.Curve()))
		answers <- err
	}()
	<-s.gadget.in
	return func() { close(hold) }, answers
}

// givesUp wants what is under way at a device not to leave, and f not to wait for the device.
func (s *side) givesUp(level int32, f func()) {
	s.t.Helper()
	release, answered := s.underWay(level)
	began := time.Now()
	f()
	took := time.Since(began)
	release()
	var denial *signer.Denial
	require.ErrorAs(s.t, <-answered, &denial)
	require.Less(s.t, took, signer.DrainTimeout, "it waited for the device")
}

// handover moves the right to a side, and wants it to work.
func (s *side) handover() Handover {
	s.t.Helper()
	h, err := s.node.Handover(s.t.Context(), HandoverRequest{})
	require.NoError(s.t, err, fmt.Sprint(h.Findings))
	require.True(s.t, h.Done)
	return h
}

// fence puts a side there whatever it was.
func (s *side) fence() {
	_, err := s.signer.Stand(s.t.Context(), hwm.Fenced, "a test")
	require.NoError(s.t, err)
}

// takeover states what is true: the other side is down.
func (s *side) takeover() (Takeover, error) {
	require.False(s.t, s.other().up)
	return s.node.Takeover(s.t.Context(),
		TakeoverRequest{CannotSign: true, CertificateDestroyed: true, Head: &s.pair.level})
}

// bakeOne asks for one block, and tells whether it came.
func (s *side) bakeOne(level int32) int {
	key := s.gadget.keys[0]
	payload := baker.Step{Chain: ghost, Kind: tezos.Block, Level: level, Variant: s.name}.Payload(key.PublicKey().Curve())
	if _, err := s.signer.Sign(s.t.Context(), key.PublicKey().Hash(), payload); err != nil {
		return 0
	}
	return 1
}

func newKey(t testing.TB) *softkey.Key {
	k, err := softkey.New(tezos.Secp256k1, bytes.Repeat([]byte{9}, softkey.MinSeed))
	require.NoError(t, err)
	return k
}
