package tezsignsim_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"highwater/internal/tezos"
	"highwater/internal/tezsignrec"
	"highwater/tezsign"
	"highwater/tezsign/frame"
	pb "highwater/tezsign/tezsignpb"
	"highwater/tezsign/tezsignsim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestRecordedSessionReplays sends what the host of the recording sent, at the times at which it did, and expects the
// answers of the gadget: the same frames, in the same order, of the same sizes and with the same bytes, key material
// and the times in log lines aside.
func TestRecordedSessionReplays(t *testing.T) {
	events, err := tezsignrec.Read("../../testdata/tezsign/frames.txt")
	require.NoError(t, err)
	epoch := time.Date(2026, 11, 21, 21, 20, 1, 0, time.UTC)
	var at atomic.Int64 // the gadget's clock: nanoseconds since epoch
	sim, err := tezsignsim.New(tezsignsim.Options{
		Version: "unknown", StorePath: "/run/ts0/data/keystore", AllowMainnet: true,
		Now: func() time.Time { return epoch.Add(time.Duration(at.Load())) },
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, sim.Close()) }()
	wires := claimBoth(t, sim)
	keys := newTranslation()
	answers := 0
	for _, e := range events {
		f := decodeOne(t, e.Raw)
		if e.FromHost {
			at.Store(int64(e.At))
			f.Payload = keys.toSim(f.Payload)
			wires[e.Interface].send(t, f)
			continue
		}
		got := wires[e.Interface].next(t)
		require.Equal(t, f.Type, got.Type, e.Section)
		require.Equal(t, f.ID, got.ID, e.Section)
		if f.Type == frame.Response {
			keys.learn(t, f.Payload, got.Payload)
			require.Equal(t, keys.blank(f.Payload), keys.blank(got.Payload), "%s: %x, %x", e.Section, f.Payload, got.Payload)
			answers++
		}
	}
	require.Greater(t, answers, 45)
	require.Empty(t, sim.Violations())
	for _, w := range wires {
		require.Zero(t, w.dec.Pending())
		require.Zero(t, w.dec.Skipped())
	}
}

func decodeOne(t *testing.T, raw []byte) frame.Frame {
	t.Helper()
	d := frame.NewDecoder(frame.MaxAnswer)
	d.Write(raw)
	f, ok := d.Next()
	require.True(t, ok)
	return f
}

// translation replaces the recording's key material by the simulator's, text by text of the same length.
type translation struct{ pairs [][2][]byte }

func newTranslation() *translation { return new(translation) }

func (k *translation) toSim(b []byte) []byte {
	for _, p := range k.pairs {
		b = bytes.ReplaceAll(b, p[0], p[1])
	}
	return b
}

// learn pairs the texts of the two gadgets for the same alias.
func (k *translation) learn(t *testing.T, recorded, simulated []byte) {
	t.Helper()
	a, b := new(pb.Response), new(pb.Response)
	require.NoError(t, proto.Unmarshal(recorded, a))
	require.NoError(t, proto.Unmarshal(simulated, b))
	for i, r := range a.GetNewKeys().GetResults() {
		s := b.GetNewKeys().GetResults()[i]
		require.Equal(t, r.GetOk(), s.GetOk())
		if r.GetOk() {
			k.pair(t, r.GetTz4(), s.GetTz4())
			k.pair(t, r.GetBlPubkey(), s.GetBlPubkey())
			key, err := tezos.ParsePublicKey(s.GetBlPubkey())
			require.NoError(t, err)
			require.Equal(t, s.GetTz4(), key.Hash().String())
		}
	}
}

func (k *translation) pair(t *testing.T, recorded, simulated string) {
	t.Helper()
	require.Len(t, simulated, len(recorded))
	k.pairs = append(k.pairs, [2][]byte{[]byte(recorded), []byte(simulated)})
}

// blank makes answers of two gadgets comparable: keys translated, proofs and signatures blanked, times in log lines
// blanked.
func (k *translation) blank(payload []byte) string {
	b := k.toSim(payload)
	b = regexp.MustCompile(`BLsig[1-9A-HJ-NP-Za-km-z]{137}`).ReplaceAll(b, bytes.Repeat([]byte{'p'}, 142))
	b = regexp.MustCompile(`time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`).ReplaceAll(b, bytes.Repeat([]byte{'t'}, 29))
	if len(b) == 100 && bytes.HasPrefix(b, []byte{0x22, 0x62, 0x0a, 0x60}) {
		b = append(b[:4:4], make([]byte, 96)...)
	}
	return hex.EncodeToString(b)
}

// wire is a plain host on a claimed channel: no session, no rules.
type wire struct {
	ch  tezsign.Channel
	dec *frame.Decoder
}

func claimBoth(t *testing.T, sim *tezsignsim.Gadget) [2]*wire {
	t.Helper()
	g, err := sim.Open(t.Context(), "")
	require.NoError(t, err)
	var out [2]*wire
	for i := range out {
		ch, err := g.Claim(t.Context(), i)
		require.NoError(t, err)
		out[i] = &wire{ch, frame.NewDecoder(frame.MaxAnswer)}
		t.Cleanup(func() { require.NoError(t, ch.Close()) })
	}
	return out
}

func (w *wire) send(t *testing.T, f frame.Frame) {
	t.Helper()
	b, err := frame.Encode(f)
	require.NoError(t, err)
	w.raw(t, b)
}

func (w *wire) raw(t *testing.T, b []byte) {
	t.Helper()
	n, err := w.ch.Write(t.Context(), b)
	require.NoError(t, err)
	require.Equal(t, len(b), n)
}

// next reads one frame, packet by packet.
func (w *wire) next(t *testing.T) frame.Frame {
	t.Helper()
	f, ok := w.wait(t, 10*time.Second)
	require.True(t, ok, "no answer")
	return f
}

func (w *wire) wait(t *testing.T, most time.Duration) (frame.Frame, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	buf := make([]byte, w.ch.MaxPacket())
	for {
		if f, ok := w.dec.Next(); ok {
			return f, true
		}
		n, err := w.ch.Read(ctx, buf)
		if ctx.Err() != nil {
			return frame.Frame{}, false
		}
		require.NoError(t, err)
		w.dec.Write(buf[:n])
	}
}
