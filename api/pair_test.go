package api_test

import (
	"context"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/api"
	"highwater/failover"
	"highwater/failover/wire"
	"highwater/guard"
	"highwater/hwm"
	"highwater/internal/baker"
	reader "highwater/internal/chain"
	"highwater/internal/node"
	"highwater/internal/node/nodesim"
	"highwater/internal/tezos"
	"highwater/operate"
	"highwater/signer"
)

// other is the second machine of a pair, as the first one hears it.
type other struct {
	mu     sync.Mutex
	hello  wire.Hello
	marks  []wire.Mark
	silent error // it does not answer, and why
}

func (o *other) Call(_ context.Context, _ hwm.Peer, _ string, q wire.Question) (wire.Answer, error) {
	a, err := o.says()
	a.Nonce = q.Nonce
	return a, err
}

func (o *other) Follow(ctx context.Context, _ hwm.Peer, _ wire.Question, each func(wire.Answer) error) error {
	a, err := o.says()
	if err == nil {
		err = each(a)
	}
	if err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func (o *other) says() (wire.Answer, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.silent != nil {
		return wire.Answer{}, o.silent
	}
	return wire.Answer{Hello: o.hello, Status: &wire.Report{Marks: o.marks, Keys: []wire.KeyReport{}, Build: "test"}}, nil
}

func (o *other) set(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f()
}

// paired gives the rig a second machine, and an octez node with its guard; all of it runs until the test ends.
func (r *rig) paired() (*other, *nodesim.Node) {
	r.t.Helper()
	peer := hwm.InstanceID{9}
	o := &other{hello: wire.Hello{
		Protocol: wire.Protocol, Chain: chain, From: peer, Life: "0123456789abcdef", Role: hwm.Standby, Owner: peer,
		Now: time.Now().Add(time.Hour),
	}, marks: []wire.Mark{{PKH: r.keys[tezos.Ed25519].Hash(), Kind: tezos.Block, Level: floor, Source: hwm.SourceSet}}}
	require.NoError(r.t, r.store.SetPeer(&hwm.Peer{Address: "other:1", Key: peer, Since: time.Now()}))
	sim := nodesim.New(nodesim.Config{Chain: chain, Level: floor})
	srv := httptest.NewServer(sim)
	client, err := node.New(node.Config{URL: srv.URL})
	require.NoError(r.t, err)
	n := failover.New(failover.Config{Signer: r.signer, Store: r.store, Link: o, Every: 5 * time.Millisecond})
	r.memory, r.guard = guard.NewMemory(), nil
	g := guard.For(guard.Instance{
		Signer: r.signer, Store: r.store, Protocol: n, Heads: n.Heads(), Reader: reader.New(client, chain), Memory: r.memory,
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { n.Run(ctx) })
	running.Go(func() { g.Run(ctx) })
	r.t.Cleanup(func() {
		cancel()
		running.Wait()
		client.Close()
		srv.Close()
	})
	r.admin.Node, r.admin.Guard, r.guard = n, g, g
	require.Eventually(r.t, func() bool {
		p := n.View().Peer
		return p != nil && p.Reachable && p.FollowedAt != nil && !g.Status().At.IsZero()
	}, 10*time.Second, time.Millisecond)
	return o, sim
}

// gauge is a metric's value now, for these labels; false when there is none.
func (r *rig) gauge(name string, labels ...string) (float64, bool) {
	r.t.Helper()
	families, err := r.metrics.Registry.Gather()
	require.NoError(r.t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			match := f.GetName() == name
			for i := 0; i < len(labels); i += 2 {
				has := false
				for _, l := range m.GetLabel() {
					has = has || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
				}
				match = match && has
			}
			if match {
				return m.GetGauge().GetValue(), true
			}
		}
	}
	return 0, false
}

func (r *rig) is(want float64, name string, labels ...string) {
	r.t.Helper()
	got, ok := r.gauge(name, labels...)
	require.True(r.t, ok, name)
	require.InDelta(r.t, want, got, 0.001, name)
}

func TestPairMetrics(t *testing.T) {
	r := newRig(t)
	_, there := r.gauge("highwater_peer_reachable")
	require.False(t, there, "alone")
	o, _ := r.paired()
	pkh := r.keys[tezos.Ed25519].Hash()
	r.activate()
	r.is(1, "highwater_signing")
	r.is(1, "highwater_peer_reachable")
	r.is(0, "highwater_peer_epoch")
	r.is(0, "highwater_peer_signing")
	r.is(0, "highwater_follow_behind_levels")
	skew, _ := r.gauge("highwater_peer_clock_skew_seconds")
	require.InDelta(t, time.Hour.Seconds(), skew, 120)

	// The other one takes over, and signs on.
	o.set(func() {
		o.hello.Role, o.hello.Epoch, o.hello.Signing = hwm.Active, 3, true
		o.marks = []wire.Mark{{PKH: pkh, Kind: tezos.Block, Level: floor + 5, Source: hwm.SourceSigned}}
	})
	require.Eventually(t, func() bool { v, _ := r.gauge("highwater_role", "role", "standby"); return v == 1 },
		10*time.Second, time.Millisecond)
	r.is(3, "highwater_epoch")
	r.is(3, "highwater_peer_epoch")
	r.is(1, "highwater_peer_signing")
	r.is(0, "highwater_signing")
	r.is(1, "highwater_follow_connected")

	// The stream says nothing more, and the status does: the marks here are behind.
	require.Eventually(t, func() bool { v, _ := r.gauge("highwater_follow_behind_levels"); return v == 5 }, 10*time.Second,
		time.Millisecond)
	age, ok := r.gauge("highwater_follow_heard_seconds")
	require.True(t, ok)
	require.Positive(t, age)

	o.set(func() { o.silent = &wire.Refusal{Reason: wire.Unreachable, Text: "gone"} })
	require.Eventually(t, func() bool { v, _ := r.gauge("highwater_peer_reachable"); return v == 0 }, 10*time.Second,
		time.Millisecond)
	r.is(1, "highwater_peer_signing") // as it was heard last
}

func TestGuardIsShown(t *testing.T) {
	r := newRig(t)
	st, err := r.admin.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, operate.GuardOff, st.Guard.State)
	require.Contains(t, st.Guard.Hint, "`node`")
	r.is(1, "highwater_guard_state", "state", "off")

	_, sim := r.paired()
	monitor := serve(t, api.NewMonitor(r.admin, r.metrics))
	in := func(state string) {
		t.Helper()
		require.Eventually(t, func() bool {
			now, failed := r.admin.Status(t.Context())
			return failed == nil && now.Guard.State == state
		}, 10*time.Second, time.Millisecond)
		for _, s := range operate.GuardStates {
			want := 0.0
			if s == state {
				want = 1
			}
			r.is(want, "highwater_guard_state", "state", s)
		}
		st, err = r.admin.Status(t.Context())
		require.NoError(t, err)
		require.Contains(t, ask(t, monitor, "GET", "/", "").body, "<dt>Guard</dt><dd>")
	}
	in(operate.GuardIdle)
	r.activate()
	r.guard.Poke()
	in(operate.GuardWatching)
	r.is(floor, "highwater_guard_head_level")
	require.Nil(t, st.Guard.Since)

	sim.SetFaults(nodesim.Faults{Down: true})
	in(operate.GuardBlind)
	require.Contains(t, st.Guard.Why, "does not answer")
	require.Contains(t, st.Guard.Hint, "octez-node")
	require.Contains(t, st.Guard.Line(), "blind since ")
	require.NotNil(t, st.Guard.Since)
	require.True(t, st.Ready, "%v", st.NotReady)
	require.Equal(t, 200, ask(t, monitor, "GET", "/readyz", "").status)
	require.Contains(t, ask(t, monitor, "GET", "/", "").body, `<b class="bad">blind since `)
	sim.SetFaults(nodesim.Faults{})
	in(operate.GuardWatching)

	// A twin: what it signed, and where that was seen.
	key := r.keys[tezos.Ed25519]
	payload := baker.Step{Chain: chain, Kind: tezos.Attestation, Level: floor + 1}.Payload(tezos.Ed25519)
	sig, err := r.signer.Sign(t.Context(), key.Hash(), payload) // the memory did not hear of it
	require.NoError(t, err)
	require.NoError(t, sim.Note(key.Hash(), payload, sig))
	payload = baker.Step{Chain: chain, Kind: tezos.Attestation, Level: floor + 1, Round: 2}.Payload(tezos.Ed25519)
	turn, err := r.devices[0].Turn(t.Context()) // the device itself, as another host would use it
	require.NoError(t, err)
	sig, err = turn.Sign(t.Context(), key.Hash(), payload)
	turn.Done()
	require.NoError(t, err)
	require.NoError(t, sim.Note(key.Hash(), payload, sig))
	sim.Advance()
	sim.Advance()
	in(operate.GuardIdle)
	f := st.Guard.Finding
	require.NotNil(t, f)
	require.Equal(t, key.Hash(), f.PKH)
	require.Equal(t, [3]int32{floor + 1, 2, floor + 2}, [3]int32{f.Level, f.Round, f.BlockLevel})
	require.Equal(t, tezos.Attestation, f.Kind)
	require.Equal(t, sim.Head().Hash.BlockHash(), f.Block)
	require.Equal(t, hwm.Fenced, st.Role.Role)
	require.Contains(t, st.Role.Why, f.Block)
	r.is(1, "highwater_alarms", "alarm", string(signer.AlarmTwin))
	require.Contains(t, ask(t, monitor, "GET", "/readyz", "").body, f.Block)
}
