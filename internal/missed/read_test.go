package missed

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/audit"
	"highwater/internal/chain"
	"highwater/internal/node"
	"highwater/internal/node/nodesim"
	"highwater/internal/rights"
	"highwater/internal/tezos"
)

var ghost = tezos.ChainID{'g', 'h', 'o', 's'}

// world is an emulated octez node with a block every six seconds.
func world(t *testing.T, blocks int) (*nodesim.Node, *node.Client) {
	t.Helper()
	now := noon
	sim := nodesim.New(nodesim.Config{
		Chain: ghost, Level: 1000, Bakers: []node.Signer{{Delegate: ours, Key: ours}}, Now: func() time.Time { return now },
	})
	for range blocks {
		now = now.Add(6 * time.Second)
		sim.Advance()
	}
	srv := httptest.NewServer(sim)
	t.Cleanup(srv.Close)
	client, err := node.New(node.Config{URL: srv.URL})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return sim, client
}

func TestSpans(t *testing.T) {
	sim, client := world(t, 200) // the head is at level 1200
	find := func(s Span) (node.Levels, []string) {
		l, notes, err := s.Find(t.Context(), client)
		require.NoError(t, err)
		return l, notes
	}
	const final = 1200 - 1 - rights.Depth
	l, notes := find(Span{Last: 5 * time.Minute})
	require.Equal(t, node.Levels{First: 1150, Last: final}, l)
	require.Empty(t, notes)
	cycle := int32(22) // levels 1101 to 1150
	l, notes = find(Span{Cycle: &cycle})
	require.Equal(t, node.Levels{First: 1101, Last: 1150}, l)
	require.Empty(t, notes)
	cycle = 23
	l, notes = find(Span{Cycle: &cycle})
	require.Equal(t, node.Levels{First: 1151, Last: final}, l)
	require.Len(t, notes, 1)
	l, notes = find(Span{Last: 24 * time.Hour})
	require.Equal(t, node.Levels{First: 1000, Last: final}, l, "the node has no more")
	require.Len(t, notes, 1)
	require.Contains(t, notes[0], "no blocks before level 1000: the levels of 24h0m0s are not complete")

	before := sim.Served()
	sim.SetFaults(nodesim.Faults{Oldest: 1100})
	l, notes = find(Span{Levels: &node.Levels{First: 1001, Last: 1150}})
	require.Equal(t, node.Levels{First: 1100, Last: 1150}, l)
	require.Contains(t, notes[0], "levels 1001 to 1099 are left out")
	require.Less(t, sim.Served()-before, int64(15))
	for _, s := range []Span{{Levels: &node.Levels{First: 1001, Last: 1050}}, {Levels: &node.Levels{First: 1196, Last: 1300}}} {
		_, _, err := s.Find(t.Context(), client)
		require.Error(t, err)
	}
}

// TestASpanIsBounded before anything is read.
func TestASpanIsBounded(t *testing.T) {
	_, _, err := Span{Levels: &node.Levels{First: 1, Last: MaxLevels + 1}}.Find(t.Context(), farNode{})
	require.ErrorContains(t, err, "100001 levels are too many")
	_, _, err = Span{Last: 10_000 * time.Hour}.Find(t.Context(), farNode{})
	require.ErrorContains(t, err, "the levels of 10000h0m0s are too many")
	l, notes, err := Span{Last: 24 * time.Hour}.Find(t.Context(), farNode{})
	require.NoError(t, err)
	require.Empty(t, notes)
	require.Equal(t, node.Levels{First: farHead - 14_400, Last: farHead - 1 - rights.Depth}, l)
}

// farNode has every block.
type farNode struct{ *node.Client }

const farHead = 9_000_000

func (n farNode) Head(ctx context.Context) (node.Header, error) { return n.HeaderAt(ctx, farHead) }

func (farNode) HeaderAt(_ context.Context, level int32) (node.Header, error) {
	return node.Header{Level: level, Timestamp: noon.Add(time.Duration(level-farHead) * 6 * time.Second)}, nil
}

func (farNode) AttestationRights(context.Context, node.RightsQuery) ([]node.AttestationRight, error) {
	return nil, nil
}

func TestRead(t *testing.T) {
	sim, client := world(t, 200)
	reader := chain.New(client, ghost)
	var told []int32
	keys := []rights.Key{{PKH: ours}}
	past, err := Read(t.Context(), reader, keys, node.Levels{First: 1001, Last: 1150}, func(done int32) {
		told = append(told, done)
	})
	require.NoError(t, err)
	require.Equal(t, int32(150), told[len(told)-1])
	require.Len(t, past, 150*3, "an attestation, and blocks of two rounds")
	for i, p := range past {
		require.Equal(t, int32(1001+i/3), p.Level)
		want := rights.Missed
		if p.Kind == tezos.Block && p.Round == 1 {
			want = rights.NotNeeded
		}
		require.Equal(t, want, p.Outcome)
	}
	sim.SetFaults(nodesim.Faults{Down: true})
	_, err = Read(t.Context(), reader, keys, node.Levels{First: 1001, Last: 1190}, func(int32) {})
	require.ErrorIs(t, err, node.ErrUnreachable)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Read(ctx, reader, keys, node.Levels{First: 1001, Last: 1190}, func(int32) {})
	require.ErrorIs(t, err, context.Canceled)
}

// TestReadLog reads a written log: its wanted decisions, and its run.
func TestReadLog(t *testing.T) {
	dir := t.TempDir()
	log := audit.New(audit.Config{Dir: dir, MaxSize: 1 << 30, Log: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); log.Run(ctx) }()
	for level := range int32(9) {
		log.Tell(audit.Decision{
			At: time.Now(), PKH: ours, Kind: tezos.Attestation, Level: level, Verdict: "signed", Took: 45 * time.Millisecond,
		})
	}
	stop()
	<-done
	l := ReadLog(dir, []rights.Past{attestation(7)}, time.Time{})
	require.NoError(t, l.Fault)
	require.Len(t, l.asked, 1)
	require.Len(t, l.runs, 1)
	p := attestation(7)
	p.At = time.Now()
	cause, text, request := l.explain(p)
	require.Equal(t, NotIncluded, cause)
	require.Contains(t, text, "signed in 45 ms")
	require.Equal(t, 45*time.Millisecond, request.took)
	require.Error(t, ReadLog(dir+"/none", nil, time.Time{}).Fault)
}
