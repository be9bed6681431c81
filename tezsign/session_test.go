package tezsign

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"highwater/internal/tezsignrec"
	"highwater/internal/usb"
	"highwater/tezsign/frame"
	pb "highwater/tezsign/tezsignpb"
)

// script is a channel whose gadget is a function of each whole frame that is written.
type script struct {
	max    int
	writes [][]byte
	answer func(f frame.Frame) [][]byte // pieces that the host will read
	short  int                          // of the next write, so many bytes only; 0: all
	fail   error
	in     chan []byte
	closed chan struct{}
}

func newScript(answer func(f frame.Frame) [][]byte) *script {
	return &script{max: 512, answer: answer, in: make(chan []byte, 100), closed: make(chan struct{})}
}

func (s *script) MaxPacket() int { return s.max }

func (s *script) Write(_ context.Context, p []byte) (int, error) {
	s.writes = append(s.writes, bytes.Clone(p))
	if s.fail != nil || s.short > 0 {
		return min(len(p), s.short), s.fail
	}
	d := frame.NewDecoder(frame.MaxAnswer)
	d.Write(p)
	if f, ok := d.Next(); ok {
		for _, piece := range s.answer(f) {
			s.in <- piece
		}
	}
	return len(p), nil
}

func (s *script) Read(ctx context.Context, buf []byte) (int, error) {
	select {
	case p := <-s.in:
		if p == nil {
			return 0, io.EOF
		}
		return copy(buf, p), nil
	case <-s.closed:
		return 0, ErrGone
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (s *script) Close() error { close(s.closed); return nil }

func wire(t *testing.T, typ frame.Type, id frame.ID, resp *pb.Response) []byte {
	t.Helper()
	var payload []byte
	if resp != nil {
		var err error
		payload, err = proto.Marshal(resp)
		require.NoError(t, err)
	}
	b, err := frame.Encode(frame.Frame{Type: typ, ID: id, Payload: payload})
	require.NoError(t, err)
	return b
}

var okVersion = &pb.Response{Body: &pb.Response_Version{Version: &pb.Version{Version: "1"}}}

func TestSessionExchanges(t *testing.T) {
	stale := frame.NewID()
	cases := []struct {
		name   string
		call   call
		answer func(t *testing.T, n int, f frame.Frame) [][]byte
		err    error
		writes int
		strays int
		takes  time.Duration
	}{
		{"accept, response", callVersion, func(t *testing.T, _ int, f frame.Frame) [][]byte {
			return [][]byte{wire(t, frame.Accept, f.ID, nil), wire(t, frame.Response, f.ID, okVersion)}
		}, nil, 1, 0, 0},
		{"response without accept", callVersion, func(t *testing.T, _ int, f frame.Frame) [][]byte {
			return [][]byte{wire(t, frame.Response, f.ID, okVersion)}
		}, nil, 1, 0, 0},
		{"glued", callVersion, func(t *testing.T, _ int, f frame.Frame) [][]byte {
			return [][]byte{append(wire(t, frame.Accept, f.ID, nil), wire(t, frame.Response, f.ID, okVersion)...)}
		}, nil, 1, 0, 0},
		{"split, with garbage before", callVersion, func(t *testing.T, _ int, f frame.Frame) [][]byte {
			b := append([]byte{1, 2, 3}, wire(t, frame.Response, f.ID, okVersion)...)
			return [][]byte{b[:5], b[5:20], b[20:]}
		}, nil, 1, 0, 0},
		{"somebody else's answers first", callVersion, func(t *testing.T, _ int, f frame.Frame) [][]byte {
			return [][]byte{
				wire(t, frame.Accept, stale, nil), wire(t, frame.Response, stale, okVersion),
				wire(t, frame.KeepAlive, frame.ID{}, nil),
				wire(t, frame.Request, f.ID, nil), wire(t, frame.Accept, f.ID, nil), wire(t, frame.Response, f.ID, okVersion),
			}
		}, nil, 1, 1, 0},
		{"retry of a dead session", callVersion, func(t *testing.T, _ int, f frame.Frame) [][]byte {
			return [][]byte{
				wire(t, frame.Retry, frame.ID{}, nil), wire(t, frame.Accept, f.ID, nil), wire(t, frame.Response, f.ID, okVersion),
			}
		}, nil, 1, 0, 0},
		{"retry", callSign, func(t *testing.T, n int, f frame.Frame) [][]byte {
			if n == 1 {
				return [][]byte{wire(t, frame.Retry, frame.ID{}, nil)}
			}
			return [][]byte{wire(t, frame.Response, f.ID, okVersion)}
		}, nil, 2, 0, retryGrace},
		{"retry twice", callSign, func(t *testing.T, _ int, _ frame.Frame) [][]byte {
			return [][]byte{wire(t, frame.Retry, frame.ID{}, nil)}
		}, errLost, 2, 0, 2 * retryGrace},
		{"retry of an unlock", callUnlock(1), func(t *testing.T, _ int, _ frame.Frame) [][]byte {
			return [][]byte{wire(t, frame.Retry, frame.ID{}, nil)}
		}, errLost, 1, 0, retryGrace},
		{"retry after accept", callUnlock(1), func(t *testing.T, _ int, f frame.Frame) [][]byte {
			return [][]byte{
				wire(t, frame.Accept, f.ID, nil), wire(t, frame.Retry, frame.ID{}, nil), wire(t, frame.Response, f.ID, okVersion),
			}
		}, nil, 1, 0, 0},
		{"silence", callSign, func(*testing.T, int, frame.Frame) [][]byte { return nil }, ErrNoAnswer, 1, 0, acceptWait},
		{"accept only", callSign, func(t *testing.T, _ int, f frame.Frame) [][]byte {
			return [][]byte{wire(t, frame.Accept, f.ID, nil)}
		}, ErrNoAnswer, 1, 0, signWait},
		{"link lost", callSign, func(*testing.T, int, frame.Frame) [][]byte { return [][]byte{nil} }, io.EOF, 1, 0, 0},
		{"an answer, then the link is lost", callSign, func(t *testing.T, _ int, f frame.Frame) [][]byte {
			return [][]byte{wire(t, frame.Response, f.ID, okVersion), nil}
		}, nil, 1, 0, 0},
		{"empty answer", callSign, func(t *testing.T, _ int, f frame.Frame) [][]byte {
			return [][]byte{wire(t, frame.Response, f.ID, nil)}
		}, ErrAnswer, 1, 0, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, strays := 0, 0
				ch := newScript(func(f frame.Frame) [][]byte { n++; return c.answer(t, n, f) })
				s := newSession(ch, slog.New(slog.DiscardHandler), func(id frame.ID, _ []byte) {
					require.Equal(t, stale, id)
					strays++
				})
				begin := time.Now()
				resp, err := s.do(t.Context(), c.call, &pb.Request{Body: &pb.Request_Version{Version: &pb.Empty{}}})
				require.Equal(t, c.takes, time.Since(begin))
				require.ErrorIs(t, err, c.err)
				require.Equal(t, c.err == nil, resp != nil)
				require.NoError(t, s.Close())
				require.Len(t, ch.writes, c.writes)
				require.Equal(t, c.strays, strays)
			})
		})
	}
}

func TestSessionWriteFaults(t *testing.T) {
	broken := errors.New("pipe")
	cases := []struct {
		name    string
		short   int
		fail    error
		written bool
		torn    bool
		is      error
	}{
		{"nothing left", 0, broken, true, false, broken},
		{"nothing can have left", 0, fmt.Errorf("%w: %w", usb.ErrUnsent, broken), false, false, broken},
		{"a part left", 24, broken, true, true, broken},
		{"a part left, no error", 24, nil, true, true, io.ErrShortWrite},
		{"all left, then an error", 1 << 20, broken, true, false, broken},
		{"not taken in time", 0, context.DeadlineExceeded, true, false, ErrNoAnswer},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ch := newScript(nil)
			ch.short, ch.fail = c.short, c.fail
			s := newSession(ch, slog.New(slog.DiscardHandler), nil)
			_, err := s.do(t.Context(), callVersion, &pb.Request{Body: &pb.Request_Version{Version: &pb.Empty{}}})
			require.NoError(t, s.Close())
			require.ErrorIs(t, err, c.is)
			var le *linkError
			require.ErrorAs(t, err, &le)
			require.Equal(t, c.written, le.written)
			require.Equal(t, c.torn, le.torn)
		})
	}
}

// TestZeroLengthPacket: a frame of whole packets is followed by an empty write, and only such a frame.
func TestZeroLengthPacket(t *testing.T) {
	for size := 1; size < 200; size++ {
		ch := newScript(func(f frame.Frame) [][]byte {
			return [][]byte{wire(t, frame.Response, f.ID, okVersion)}
		})
		ch.max = 64
		s := newSession(ch, slog.New(slog.DiscardHandler), nil)
		message := &pb.Sign{Message: make([]byte, size)}
		_, err := s.do(t.Context(), callSign, &pb.Request{Body: &pb.Request_Sign{Sign: message}})
		require.NoError(t, err)
		require.NoError(t, s.Close())
		require.GreaterOrEqual(t, len(ch.writes[0]), frame.HeaderLen)
		if len(ch.writes[0])%64 == 0 {
			require.Len(t, ch.writes, 2)
			require.Empty(t, ch.writes[1])
		} else {
			require.Len(t, ch.writes, 1)
		}
	}
}

func TestSessionTakesOneRequestAtATimeAndNoneThatEnded(t *testing.T) {
	ch := newScript(nil)
	s := newSession(ch, slog.New(slog.DiscardHandler), nil)
	defer func() { require.NoError(t, s.Close()) }()
	require.NoError(t, s.begin(&exchange{}))
	_, err := s.do(t.Context(), callVersion, &pb.Request{})
	require.ErrorContains(t, err, "already in flight")
	s.end()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.do(ctx, callVersion, &pb.Request{})
	require.ErrorIs(t, err, context.Canceled)
	var le *linkError
	require.ErrorAs(t, err, &le)
	require.False(t, le.written)
	require.Empty(t, ch.writes)
}

func TestRequestsAreBounded(t *testing.T) {
	message := &pb.Sign{Message: make([]byte, frame.MaxRequest)}
	_, err := encodeRequest(frame.ID{}, &pb.Request{Body: &pb.Request_Sign{Sign: message}}, false)
	require.ErrorIs(t, err, frame.ErrTooLong)
}

// TestRecordedMessages: our messages read every recorded one and write the same bytes.
func TestRecordedMessages(t *testing.T) {
	n := 0
	for _, e := range recording(t) {
		d := frame.NewDecoder(frame.MaxAnswer)
		d.Write(e.Raw)
		f, ok := d.Next()
		require.True(t, ok)
		if bytes.Equal(f.Payload, []byte{0xff, 0xff, 0xff}) {
			continue // a host's garbage
		}
		var msg proto.Message
		switch f.Type {
		case frame.Request:
			msg = new(pb.Request)
		case frame.Response:
			msg = new(pb.Response)
		default:
			continue
		}
		require.NoError(t, proto.Unmarshal(f.Payload, msg))
		require.Empty(t, msg.ProtoReflect().GetUnknown())
		again, err := proto.MarshalOptions{Deterministic: true}.Marshal(msg)
		require.NoError(t, err)
		require.True(t, bytes.Equal(f.Payload, again), "%s: %x", e.Section, f.Payload)
		n++
	}
	require.Greater(t, n, 90)
}

func recording(t testing.TB) []tezsignrec.Event {
	t.Helper()
	events, err := tezsignrec.Read("../testdata/tezsign/frames.txt")
	require.NoError(t, err)
	return events
}

// FuzzResponse: whatever a gadget answers is read within bounds; an error leaves nothing behind; a status gives only
// keys that belong to their addresses, with levels of a chain.
func FuzzResponse(f *testing.F) {
	for _, e := range recording(f) {
		if !e.FromHost && len(e.Raw) > frame.HeaderLen {
			f.Add(e.Raw[frame.HeaderLen:])
		}
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		resp, err := parseResponse(payload)
		if err != nil {
			require.Nil(t, resp)
			return
		}
		require.NotNil(t, resp.GetBody())
		require.Nil(t, resp.GetError())
		again, err := proto.Marshal(resp)
		require.NoError(t, err)
		twice, err := parseResponse(again)
		require.NoError(t, err)
		require.True(t, proto.Equal(resp, twice))
		keys, err := readStatus(resp.GetStatus(), new(keyCache))
		if err != nil {
			require.Nil(t, keys)
			return
		}
		for _, k := range keys {
			require.Equal(t, k.PublicKey.Hash(), k.PKH)
			require.True(t, !k.Locked || k.Marks == nil)
			for _, m := range k.Marks {
				require.GreaterOrEqual(t, m.Level, int32(0))
				require.GreaterOrEqual(t, m.Round, int32(0))
			}
		}
	})
}

func TestReadStatusRefusesInconsistency(t *testing.T) {
	var good *pb.Status
	for _, e := range recording(t) {
		resp := new(pb.Response)
		if len(e.Raw) > frame.HeaderLen && !e.FromHost &&
			proto.Unmarshal(e.Raw[frame.HeaderLen:], resp) == nil && len(resp.GetStatus().GetKeys()) == 2 {
			good = resp.GetStatus()
		}
	}
	keys, err := readStatus(good, new(keyCache))
	require.NoError(t, err)
	require.Equal(t, int32(500), keys[0].Level())
	require.Len(t, keys, 2)
	_, err = keys[0].Proof()
	require.NoError(t, err, "the real gadget's proof of possession")
	for name, spoil := range map[string]func(k *pb.KeyStatus){
		"no alias":      func(k *pb.KeyStatus) { k.KeyId = "" },
		"control chars": func(k *pb.KeyStatus) { k.KeyId = "a\x1b[2J" },
		"other address": func(k *pb.KeyStatus) { k.Tz4 = good.GetKeys()[1].GetTz4() },
		"no key":        func(k *pb.KeyStatus) { k.BlPubkey = "" },
		"other curve":   func(k *pb.KeyStatus) { k.BlPubkey = "edpkuFrRoDSEbJYgxRtLx2ps82UdaYc1WwfS9sE11yhauZt5DgCHbU" },
		"twice":         func(k *pb.KeyStatus) { k.KeyId = good.GetKeys()[1].GetKeyId() },
	} {
		bad := proto.CloneOf(good)
		spoil(bad.GetKeys()[0])
		keys, err = readStatus(bad, new(keyCache))
		require.ErrorIs(t, err, ErrAnswer, name)
		require.Nil(t, keys, name)
	}
	big := proto.CloneOf(good)
	big.GetKeys()[0].BlockLevel = 1 << 31
	keys, err = readStatus(big, new(keyCache))
	require.NoError(t, err)
	require.Contains(t, keys[0].usable(), "beyond every level")
	odd := proto.CloneOf(good)
	odd.GetKeys()[0].LockState = 7
	keys, err = readStatus(odd, new(keyCache))
	require.NoError(t, err)
	require.True(t, keys[0].Locked, "what is not surely unlocked is locked")
}
