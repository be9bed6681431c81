package tezsignsim_test

import (
	"bytes"
	"encoding/binary"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"highwater/internal/tezos"
	"highwater/tezsign"
	"highwater/tezsign/frame"
	pb "highwater/tezsign/tezsignpb"
	"highwater/tezsign/tezsignsim"
)

func newGadget(t *testing.T, o tezsignsim.Options) *tezsignsim.Gadget {
	t.Helper()
	g, err := tezsignsim.New(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, g.Close()) })
	return g
}

func request(t *testing.T, body *pb.Request) frame.Frame {
	t.Helper()
	b, err := proto.Marshal(body)
	require.NoError(t, err)
	return frame.Frame{Type: frame.Request, ID: frame.NewID(), Payload: b}
}

// ask sends a request and gives its answer.
func (w *wire) ask(t *testing.T, body *pb.Request) *pb.Response {
	t.Helper()
	f := request(t, body)
	w.send(t, f)
	require.Equal(t, frame.Frame{Type: frame.Accept, ID: f.ID}, w.next(t))
	got := w.next(t)
	require.Equal(t, frame.Response, got.Type)
	require.Equal(t, f.ID, got.ID)
	resp := new(pb.Response)
	require.NoError(t, proto.Unmarshal(got.Payload, resp))
	return resp
}

func signRequest(tz4 string, message []byte) *pb.Request {
	return &pb.Request{Body: &pb.Request_Sign{Sign: &pb.Sign{Tz4: tz4, Message: message}}}
}

var (
	askVersion = &pb.Request{Body: &pb.Request_Version{Version: &pb.Empty{}}}
	askStatus  = &pb.Request{Body: &pb.Request_Status{Status: &pb.Empty{}}}
)

func unlock(ids ...string) *pb.Request {
	keys := &pb.KeysWithPassphrase{KeyIds: ids, Passphrase: []byte(tezsignsim.DefaultPassphrase)}
	return &pb.Request{Body: &pb.Request_Unlock{Unlock: keys}}
}

// attestation is one as short as the gadget takes it.
func attestation(level, round uint32, salt byte) []byte {
	p := append([]byte{0x13, 9, 9, 9, 9, salt}, make([]byte, 32)...)
	p = binary.BigEndian.AppendUint32(p, level)
	return binary.BigEndian.AppendUint32(p, round)
}

func tz4Of(t *testing.T, w *wire) string {
	t.Helper()
	return w.ask(t, askStatus).GetStatus().GetKeys()[0].GetTz4()
}

func TestMarkRules(t *testing.T) {
	g := newGadget(t, tezsignsim.Options{Keys: []string{"k"}})
	w := claimBoth(t, g)[0]
	tz4 := tz4Of(t, w)
	steps := []struct {
		level, round uint32
		code         uint32
	}{
		{0, 0, 33},
		{0, 1, 0},
		{0, 1, 33},
		{1, 0, 0},
		{1, 0, 33},
		{0, 9, 33},
		{1, 1, 0},
		{5, 0, 0},
		{4, 9, 33},
		{1 << 31, 0, 34},
		{6, 1 << 31, 34},
		{1<<31 - 1, 1<<31 - 1, 0},
		{1<<31 - 1, 1<<31 - 1, 33},
	}
	for _, s := range steps {
		got := w.ask(t, signRequest(tz4, attestation(s.level, s.round, 0)))
		require.Equal(t, s.code, got.GetError().GetCode(), "%d/%d", s.level, s.round)
	}
	pre := attestation(1, 0, 0)
	pre[0] = byte(tezos.Preattestation)
	require.Nil(t, w.ask(t, signRequest(tz4, pre)).GetError(), "kinds are independent")
	require.Empty(t, g.Violations())
}

func TestTornHeaderWedgesUntilPowerCycle(t *testing.T) {
	whole, err := frame.Encode(request(t, askVersion))
	require.NoError(t, err)
	for n := 1; n < frame.HeaderLen; n++ {
		g := newGadget(t, tezsignsim.Options{})
		ws := claimBoth(t, g)
		ws[0].raw(t, whole[:n])
		ws[0].raw(t, whole[n:])
		_, ok := ws[0].wait(t, 30*time.Millisecond)
		require.False(t, ok, "torn after %d", n)
		require.Eventually(t, func() bool { return len(g.Violations()) > 0 }, 10*time.Second, time.Millisecond)
		require.Contains(t, g.Violations()[0], "torn header")
		require.NotNil(t, ws[1].ask(t, askVersion).GetVersion(), "the other interface works")
		ready, ok := g.Readiness(0x81, 0x5a, 0)
		require.True(t, ok)
		require.EqualValues(t, 1, ready[6], "and it still says that it is ready")
		require.NoError(t, g.PowerCycle())
		require.NotNil(t, claimBoth(t, g)[0].ask(t, askVersion).GetVersion())
	}
}

func TestFrameMaySplitAfterItsHeader(t *testing.T) {
	g := newGadget(t, tezsignsim.Options{})
	w := claimBoth(t, g)[0]
	whole, err := frame.Encode(request(t, askVersion))
	require.NoError(t, err)
	w.raw(t, whole[:frame.HeaderLen])
	w.raw(t, whole[frame.HeaderLen:])
	require.Equal(t, frame.Accept, w.next(t).Type)
	require.Equal(t, frame.Response, w.next(t).Type)
	require.Empty(t, g.Violations())
}

func TestGarbageAndGluedFrames(t *testing.T) {
	g := newGadget(t, tezsignsim.Options{})
	w := claimBoth(t, g)[0]
	a, err := frame.Encode(frame.Frame{Type: frame.KeepAlive})
	require.NoError(t, err)
	b, err := frame.Encode(request(t, askVersion))
	require.NoError(t, err)
	bad := bytes.Clone(a)
	bad[22] ^= 1
	w.raw(t, bytes.Join([][]byte{{1, 2, 3}, bad, a, b, {7, 7}}, nil))
	require.Equal(t, frame.Accept, w.next(t).Type)
	require.Equal(t, frame.Response, w.next(t).Type)
}

// TestNoZeroLengthPackets: an answer of whole packets does not end a longer read; it comes glued to the next frame.
func TestNoZeroLengthPackets(t *testing.T) {
	g := newGadget(t, tezsignsim.Options{})
	h, err := g.Open(t.Context(), "")
	require.NoError(t, err)
	ch, err := h.Claim(t.Context(), tezsign.SignInterface)
	require.NoError(t, err)
	defer func() { require.NoError(t, ch.Close()) }()
	w := &wire{ch, frame.NewDecoder(frame.MaxAnswer)}
	size := 512 - frame.HeaderLen
	for n := size - 10; n < size; n++ {
		answer := &pb.Response{Body: &pb.Response_Version{Version: &pb.Version{Version: strings.Repeat("v", n)}}}
		if proto.Size(answer) == size {
			g.SetVersion(strings.Repeat("v", n), "")
		}
	}
	w.send(t, request(t, askVersion))
	big := make([]byte, 1024)
	n, err := ch.Read(t.Context(), big)
	require.NoError(t, err)
	require.Equal(t, frame.HeaderLen, n, "the accept")
	done := make(chan int)
	go func() {
		n, err := ch.Read(t.Context(), big)
		if err != nil {
			n = -1
		}
		done <- n
	}()
	select {
	case n := <-done:
		require.Fail(t, "the read ended", "%d bytes", n)
	case <-time.After(50 * time.Millisecond):
	}
	w.send(t, request(t, askVersion))
	require.Equal(t, 512+frame.HeaderLen, <-done, "the answer with the next accept behind it")
}

func TestHostFrameOfWholePacketsNeedsAnEmptyOne(t *testing.T) {
	g := newGadget(t, tezsignsim.Options{MaxPacket: 64})
	w := claimBoth(t, g)[1]
	alias := strings.Repeat("a", 64-frame.HeaderLen-4)
	f := request(t, &pb.Request{Body: &pb.Request_Lock{Lock: &pb.KeyIDs{KeyIds: []string{alias}}}})
	b, err := frame.Encode(f)
	require.NoError(t, err)
	require.Len(t, b, 64)
	w.raw(t, b)
	_, ok := w.wait(t, 30*time.Millisecond)
	require.False(t, ok)
	w.raw(t, nil)
	require.Equal(t, frame.Accept, w.next(t).Type)
}

func TestStaleAnswersReachTheNextSession(t *testing.T) {
	g := newGadget(t, tezsignsim.Options{Keys: []string{"k"}})
	ws := claimBoth(t, g)
	tz4 := tz4Of(t, ws[0])
	f := request(t, signRequest(tz4, attestation(1, 0, 0)))
	ws[0].send(t, f)
	require.Eventually(t, func() bool { return len(g.Signatures()) == 1 }, 5*time.Second, time.Millisecond)
	require.NoError(t, ws[0].ch.Close())
	h, err := g.Open(t.Context(), "")
	require.NoError(t, err)
	ch, err := h.Claim(t.Context(), 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, ch.Close()) }()
	w := &wire{ch, frame.NewDecoder(frame.MaxAnswer)}
	require.Equal(t, frame.Accept, w.next(t).Type)
	got := w.next(t)
	require.Equal(t, f.ID, got.ID)
	require.Len(t, got.Payload, 100)
}

func TestUnbindLeavesAnswerAndRetry(t *testing.T) {
	g := newGadget(t, tezsignsim.Options{Keys: []string{"k"}})
	ws := claimBoth(t, g)
	tz4 := tz4Of(t, ws[0])
	f := request(t, signRequest(tz4, attestation(1, 0, 0)))
	ws[0].send(t, f)
	require.Equal(t, frame.Accept, ws[0].next(t).Type)
	require.Eventually(t, func() bool { return g.Waiting(0) == 1 }, 5*time.Second, time.Millisecond)
	g.Unbind()
	_, err := g.Open(t.Context(), "")
	require.ErrorIs(t, err, tezsign.ErrGone)
	g.Bind()
	w := claimBoth(t, g)[0]
	require.Equal(t, f.ID, w.next(t).ID)
	require.Equal(t, frame.Retry, w.next(t).Type)
	require.Equal(t, pb.LockState_LOCK_STATE_UNLOCKED, w.ask(t, askStatus).GetStatus().GetKeys()[0].GetLockState())
}

func TestPowerCycleLocksAndForgets(t *testing.T) {
	g := newGadget(t, tezsignsim.Options{Keys: []string{"k"}})
	tz4 := tz4Of(t, claimBoth(t, g)[0])
	require.NoError(t, g.PowerCycle())
	ws := claimBoth(t, g)
	sign := signRequest(tz4, attestation(1, 0, 0))
	require.EqualValues(t, 31, ws[0].ask(t, sign).GetError().GetCode())
	require.True(t, ws[1].ask(t, unlock("k")).GetUnlock().GetResults()[0].GetOk())
	require.Nil(t, ws[0].ask(t, sign).GetError())
	ws[1].ask(t, &pb.Request{Body: &pb.Request_Lock{Lock: &pb.KeyIDs{KeyIds: []string{"k"}}}})
	require.EqualValues(t, 32, ws[0].ask(t, signRequest(tz4, attestation(2, 0, 0))).GetError().GetCode())
}

// TestUnlockOfAnUnlockedKeyRollsBack: the device's own double signature, and that it is recorded.
func TestUnlockOfAnUnlockedKeyRollsBack(t *testing.T) {
	g := newGadget(t, tezsignsim.Options{Keys: []string{"k"}, DeriveCost: 100 * time.Millisecond})
	ws := claimBoth(t, g)
	tz4 := tz4Of(t, ws[0])
	// The marks are read at some moment after the request was accepted. A signature before that is no news to them:
	// then once more.
	again := false
	for level := uint32(100); !again && level < 104; level++ {
		ws[1].send(t, request(t, unlock("k")))
		require.Equal(t, frame.Accept, ws[1].next(t).Type)
		require.Nil(t, ws[0].ask(t, signRequest(tz4, attestation(level, 0, 1))).GetError())
		require.Equal(t, frame.Response, ws[1].next(t).Type)
		again = ws[0].ask(t, signRequest(tz4, attestation(level, 0, 2))).GetError() == nil
	}
	require.True(t, again, "signed a second time")
	found := g.Violations()
	require.GreaterOrEqual(t, len(found), 2)
	require.Contains(t, found[0], "unlock of the unlocked key")
	require.Contains(t, found[len(found)-1], "double signature")
}

func TestLostAndCorruptedState(t *testing.T) {
	for name, c := range map[string]struct {
		spoil  func(*tezsignsim.Gadget) error
		unlock string
		sign   uint32
	}{
		"lost":     {func(g *tezsignsim.Gadget) error { return g.LoseState("k") }, "", 0},
		"one slot": {func(g *tezsignsim.Gadget) error { return g.CorruptState("k", false) }, "", 30},
		"two slots": {
			func(g *tezsignsim.Gadget) error { return g.CorruptState("k", true) },
			"load state: state corrupted: checksum", 31,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGadget(t, tezsignsim.Options{Keys: []string{"k"}})
			w := claimBoth(t, g)[0]
			tz4 := tz4Of(t, w)
			for level := uint32(199); level < 201; level++ {
				require.Nil(t, w.ask(t, signRequest(tz4, attestation(level, 0, 1))).GetError())
			}
			require.NoError(t, c.spoil(g))
			require.NoError(t, g.PowerCycle())
			ws := claimBoth(t, g)
			require.Equal(t, c.unlock, ws[1].ask(t, unlock("k")).GetUnlock().GetResults()[0].GetError())
			got := ws[0].ask(t, signRequest(tz4, attestation(200, 0, 2)))
			require.Equal(t, c.sign, got.GetError().GetCode())
			if c.sign != 30 {
				return
			}
			st := ws[0].ask(t, askStatus).GetStatus().GetKeys()[0]
			require.True(t, st.GetStateCorrupted())
			require.Equal(t, pb.LockState_LOCK_STATE_LOCKED, st.GetLockState())
			low := &pb.Request{Body: &pb.Request_SetLevel{SetLevel: &pb.SetLevel{KeyId: "k", Level: 5}}}
			require.Nil(t, ws[1].ask(t, low).GetError(), "the gadget takes a level below what it signed")
			require.Nil(t, ws[0].ask(t, signRequest(tz4, attestation(200, 0, 2))).GetError())
		})
	}
}

func TestStoppedProgramDoesItLater(t *testing.T) {
	g := newGadget(t, tezsignsim.Options{Keys: []string{"k"}})
	w := claimBoth(t, g)[0]
	tz4 := tz4Of(t, w)
	g.Stop()
	w.send(t, request(t, signRequest(tz4, attestation(1, 0, 0))))
	_, ok := w.wait(t, 30*time.Millisecond)
	require.False(t, ok)
	require.Empty(t, g.Signatures())
	g.Continue()
	require.Equal(t, frame.Accept, w.next(t).Type)
	require.Equal(t, frame.Response, w.next(t).Type)
}

func TestPipeliningAndUsedIDsAreNoticed(t *testing.T) {
	g := newGadget(t, tezsignsim.Options{Keys: []string{"k"}, Latency: 50 * time.Millisecond})
	w := claimBoth(t, g)[0]
	tz4 := tz4Of(t, w)
	w.send(t, request(t, signRequest(tz4, attestation(1, 0, 0))))
	f := request(t, askVersion)
	w.send(t, f)
	for range 4 {
		w.next(t)
	}
	w.send(t, f)
	w.next(t)
	w.next(t)
	require.Len(t, g.Violations(), 2)
	require.Contains(t, g.Violations()[0], "in flight")
	require.Contains(t, g.Violations()[1], "used twice")
}

func TestFolderKeepsTheStore(t *testing.T) {
	dir := t.TempDir()
	g, err := tezsignsim.New(tezsignsim.Options{Dir: dir, Keys: []string{"k"}})
	require.NoError(t, err)
	w := claimBoth(t, g)[0]
	tz4 := tz4Of(t, w)
	require.Nil(t, w.ask(t, signRequest(tz4, attestation(7, 3, 0))).GetError())
	require.NoError(t, g.Close())
	again := newGadget(t, tezsignsim.Options{Dir: dir})
	ws := claimBoth(t, again)
	require.True(t, ws[1].ask(t, unlock("k")).GetUnlock().GetResults()[0].GetOk())
	st := ws[1].ask(t, askStatus).GetStatus().GetKeys()[0]
	require.Equal(t, tz4, st.GetTz4())
	require.EqualValues(t, 7, st.GetAttestationLevel())
	require.EqualValues(t, 3, st.GetAttestationRound())
}

func TestSameSeedSameKeys(t *testing.T) {
	a := newGadget(t, tezsignsim.Options{Seed: "s", Keys: []string{"k"}})
	b := newGadget(t, tezsignsim.Options{Seed: "s", Keys: []string{"k"}})
	c := newGadget(t, tezsignsim.Options{Seed: "other", Keys: []string{"k"}})
	ka, kb, kc := tz4Of(t, claimBoth(t, a)[0]), tz4Of(t, claimBoth(t, b)[0]), tz4Of(t, claimBoth(t, c)[0])
	require.Equal(t, ka, kb)
	require.NotEqual(t, ka, kc)
}

func TestReadiness(t *testing.T) {
	g := newGadget(t, tezsignsim.Options{})
	got, ok := g.Readiness(0x81, 0x5a, 0)
	require.True(t, ok)
	require.Equal(t, []byte("TZSG\x01\x00\x01\x00"), got)
	got, ok = g.Readiness(0xc1, 0x5a, 0)
	require.True(t, ok)
	require.Empty(t, got)
	_, ok = g.Readiness(0xc0, 0x5a, 0)
	require.False(t, ok)
	g.SetReady(false)
	got, _ = g.Readiness(0x81, 0x5a, 0)
	require.Zero(t, got[6])
}

// TestServesEndpointFiles runs the gadget behind a pair of byte streams, as behind FunctionFS.
func TestServesEndpointFiles(t *testing.T) {
	g := newGadget(t, tezsignsim.Options{Keys: []string{"k"}})
	host, dev := net.Pipe()
	var wg sync.WaitGroup
	var served error
	wg.Go(func() { served = g.Serve(t.Context(), 0, dev, dev, true) })
	d := frame.NewDecoder(frame.MaxAnswer)
	next := func() frame.Frame {
		buf := make([]byte, 512)
		for {
			if f, ok := d.Next(); ok {
				return f
			}
			n, err := host.Read(buf)
			require.NoError(t, err)
			d.Write(buf[:n])
		}
	}
	require.Equal(t, frame.Retry, next().Type)
	f := request(t, askVersion)
	b, err := frame.Encode(f)
	require.NoError(t, err)
	_, err = host.Write(b)
	require.NoError(t, err)
	require.Equal(t, frame.Frame{Type: frame.Accept, ID: f.ID}, next())
	require.Equal(t, frame.Response, next().Type)
	require.NoError(t, host.Close())
	wg.Wait()
	require.Error(t, served)
	g.Unplug()
	require.ErrorIs(t, g.Serve(t.Context(), 0, dev, dev, false), tezsignsim.ErrNoPower)
}

// TestForgetful: what it is asked leaves nothing behind, and what it does is the same.
func TestForgetful(t *testing.T) {
	g := newGadget(t, tezsignsim.Options{Keys: []string{"k"}, Forgetful: true})
	w := claimBoth(t, g)[0]
	tz4 := tz4Of(t, w)
	for range 2100 { // more than twice what it remembers
		require.NotNil(t, w.ask(t, askVersion).GetVersion())
	}
	require.Nil(t, w.ask(t, signRequest(tz4, attestation(1, 0, 0))).GetError())
	require.EqualValues(t, 33, w.ask(t, signRequest(tz4, attestation(1, 0, 1))).GetError().GetCode())
	require.Empty(t, g.Signatures())
	require.Empty(t, g.Violations())
}
