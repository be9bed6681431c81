package frame_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/tezsignrec"
	"highwater/tezsign/frame"
)

func TestRecordedFramesDecodeAndReencode(t *testing.T) {
	frames := recorded(t)
	d := frame.NewDecoder(frame.MaxAnswer)
	for i, raw := range frames {
		d.Write(raw)
		f, ok := d.Next()
		require.True(t, ok, "frame %d", i)
		again, err := frame.Encode(f)
		require.NoError(t, err)
		require.Equal(t, raw, again, "frame %d", i)
	}
	require.Zero(t, d.Skipped())
	require.Zero(t, d.Pending())
}

func recorded(tb testing.TB) [][]byte {
	tb.Helper()
	events, err := tezsignrec.Read("../../testdata/tezsign/frames.txt")
	require.NoError(tb, err)
	require.Greater(tb, len(events), 100)
	var out [][]byte
	for _, e := range events {
		out = append(out, e.Raw)
	}
	return out
}

func TestStreamInPiecesOfAnySizeGivesTheSameFrames(t *testing.T) {
	frames := recorded(t)
	stream := bytes.Join(frames, nil)
	for _, size := range []int{1, 7, 22, 23, 24, 64, 512, len(stream)} {
		got, d := decode(t, stream, size, frame.MaxAnswer)
		require.Equal(t, frames, got, "pieces of %d", size)
		require.Zero(t, d.Skipped())
	}
}

// decode gives the frames of a stream that comes in pieces.
func decode(t *testing.T, in []byte, size, limit int) (out [][]byte, d *frame.Decoder) {
	d = frame.NewDecoder(limit)
	for piece := range pieces(in, size) {
		d.Write(piece)
		for f, ok := d.Next(); ok; f, ok = d.Next() {
			b, err := frame.Encode(f)
			require.NoError(t, err)
			out = append(out, b)
		}
	}
	return out, d
}

func pieces(b []byte, size int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			n := min(size, len(b))
			if !yield(b[:n]) {
				return
			}
			b = b[n:]
		}
	}
}

func TestGarbageBetweenFramesIsSkipped(t *testing.T) {
	id := frame.ID{0x93, 0xc2, 0x1f, 0x77, 0x0a, 0xe4, 0x58, 0x3d, 0x61, 0xb9, 0x04, 0xd6, 0x8e, 0x2b, 0xf0, 0x15}
	good, err := frame.Encode(frame.Frame{Type: frame.Response, ID: id, Payload: []byte("body")})
	require.NoError(t, err)
	edit := func(at int, with byte) []byte {
		b := bytes.Clone(good[:frame.HeaderLen])
		b[at] = with
		return b
	}
	tooBig := edit(20, 0xff)
	tooBig[22] ^= 0xff // the parity agrees, the size is beyond the limit
	unknown := edit(1, 9)
	unknown[22] ^= good[1] ^ 9
	cases := map[string][]byte{
		"noise":          {0, 1, 2, 3},
		"magic bytes":    bytes.Repeat([]byte{0x56}, 40),
		"wrong parity":   edit(22, good[22]^1),
		"unknown type":   unknown,
		"too big":        tooBig,
		"half a header":  good[:11],
		"torn by a byte": good[:22],
	}
	for name, garbage := range cases {
		t.Run(name, func(t *testing.T) {
			d := frame.NewDecoder(frame.MaxAnswer)
			d.Write(garbage)
			d.Write(good)
			d.Write(good)
			var n int
			for f, ok := d.Next(); ok; f, ok = d.Next() {
				require.Equal(t, id, f.ID)
				require.Equal(t, []byte("body"), f.Payload)
				n++
			}
			require.Equal(t, 2, n)
			require.Equal(t, len(garbage), d.Skipped())
		})
	}
}

func TestDecoderStaysWithinItsLimit(t *testing.T) {
	d := frame.NewDecoder(100)
	long, err := frame.Encode(frame.Frame{Type: frame.Response, Payload: make([]byte, 101)})
	require.NoError(t, err)
	for range 1000 {
		d.Write(long)
		_, ok := d.Next()
		require.False(t, ok)
		require.LessOrEqual(t, d.Pending(), frame.HeaderLen+100)
	}
}

func TestEncodeRefuses(t *testing.T) {
	_, err := frame.Encode(frame.Frame{Type: 0})
	require.ErrorIs(t, err, frame.ErrType)
	_, err = frame.Encode(frame.Frame{Type: 6})
	require.ErrorIs(t, err, frame.ErrType)
	_, err = frame.Encode(frame.Frame{Type: frame.Request, Payload: make([]byte, frame.MaxDevicePayload+1)})
	require.ErrorIs(t, err, frame.ErrTooLong)
}

func TestIDsAreFresh(t *testing.T) {
	seen := map[frame.ID]bool{}
	for range 1000 {
		id := frame.NewID()
		require.False(t, seen[id])
		seen[id] = true
	}
}

// FuzzDecoder: every frame that comes out encodes to bytes that stand in the input, in order; nothing is counted
// twice; cutting the input elsewhere gives the same frames.
func FuzzDecoder(f *testing.F) {
	frames := recorded(f)
	for _, raw := range frames[:20] {
		f.Add(raw, uint8(5))
	}
	f.Add(bytes.Join(frames[:6], []byte{0x56, 1}), uint8(64))
	f.Fuzz(func(t *testing.T, in []byte, cut uint8) {
		const limit = 2048
		whole, d := decode(t, in, max(1, len(in)), limit)
		total, rest := 0, in
		for _, b := range whole {
			at := bytes.Index(rest, b)
			require.GreaterOrEqual(t, at, 0)
			require.LessOrEqual(t, binary.LittleEndian.Uint32(b[18:]), uint32(limit))
			rest = rest[at+len(b):]
			total += len(b)
		}
		require.Equal(t, len(in), total+d.Skipped()+d.Pending())
		split, _ := decode(t, in, max(1, int(cut)), limit)
		require.Equal(t, whole, split)
	})
}
