//go:build usblab

package usb_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"highwater/internal/baker"
	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/internal/usb"
	"highwater/tezsign"
	"highwater/tezsign/frame"
	pb "highwater/tezsign/tezsignpb"
)

// samples is the number of signatures that a median is taken of.
const samples = 25

// TestAdded compares a signature over HTTP with the bare exchange on the bus: a write of one frame, and reads until the
// answer. The difference is the host's own part.
func TestAdded(t *testing.T) {
	d := startTezSign(t, "T-1", "added")
	d.plug()
	bare, idle := bareExchanges(t)
	s := prepare(t, section("dev", "tezsign", ""), nil)
	s.serveAt("info")
	s.health("dev", device.Ready)
	key := s.keys(1)[0]
	s.activate()
	ctx := t.Context()
	http := median(func(int32) { _, err := s.client.PublicKey(ctx, key.Hash()); require.NoError(t, err) })
	var sig tezos.Signature
	whole := median(func(i int32) {
		var err error
		sig, err = s.client.AskOnly(ctx, key, attestation(2000+i))
		require.NoError(t, err)
	})
	verify := median(func(int32) { require.NoError(t, key.Verify(attestation(2000+samples), sig)) })
	took(t, "bare exchange without a signature", idle)
	took(t, "bare exchange of a signature", bare)
	took(t, "a signature over HTTP", whole)
	took(t, "tezsign: added by the host", whole-bare)
	took(t, "of it HTTP alone", http)
	took(t, "a whole verification", verify)
	s.stop()
}

func attestation(level int32) []byte {
	return baker.Step{Chain: chain, Kind: tezos.Attestation, Level: level}.Payload(tezos.BLS12381)
}

// bareExchanges is the median of an exchange with the gadget, with and without a signature.
func bareExchanges(t *testing.T) (sign, version time.Duration) {
	t.Helper()
	bus := usb.NewBus(slog.New(slog.DiscardHandler))
	defer func() { require.NoError(t, bus.Close()) }()
	open := tezsign.OpenUSB(bus)
	manager := tezsign.NewManager(tezsign.ManagerConfig{Name: "dev", Open: open, Log: slog.New(slog.DiscardHandler)})
	var keys []tezsign.KeyState
	require.Eventually(t, func() bool {
		var err error
		keys, err = manager.Status(t.Context())
		return err == nil
	}, patience, 20*time.Millisecond, "the gadget is enumerated")
	g, err := open(t.Context(), "")
	require.NoError(t, err)
	ch, err := g.Claim(t.Context(), tezsign.SignInterface)
	require.NoError(t, err)
	sign = median(func(i int32) {
		exchange(t, ch, &pb.Request{Body: &pb.Request_Sign{Sign: &pb.Sign{Tz4: keys[0].PKH.String(), Message: attestation(i)}}})
	})
	version = median(func(int32) { exchange(t, ch, &pb.Request{Body: &pb.Request_Version{Version: &pb.Empty{}}}) })
	require.NoError(t, ch.Close())
	require.NoError(t, g.Close())
	return sign, version
}

// exchange is the least that a host can do: one transfer out, and the gadget's two frames in.
func exchange(t *testing.T, ch tezsign.Channel, req *pb.Request) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	body, err := proto.Marshal(req)
	require.NoError(t, err)
	wire, err := frame.Encode(frame.Frame{Type: frame.Request, ID: frame.NewID(), Payload: body})
	require.NoError(t, err)
	_, err = ch.Write(ctx, wire)
	require.NoError(t, err)
	decoder, buf := frame.NewDecoder(frame.MaxAnswer), make([]byte, ch.MaxPacket())
	for {
		n, err := ch.Read(ctx, buf)
		require.NoError(t, err)
		decoder.Write(buf[:n])
		for f, ok := decoder.Next(); ok; f, ok = decoder.Next() {
			if f.Type == frame.Response {
				return
			}
		}
	}
}

// median runs f and gives the median of its times. The argument counts from 1.
func median(f func(i int32)) time.Duration {
	var times []time.Duration
	for i := range int32(samples) {
		began := time.Now()
		f(i + 1)
		times = append(times, time.Since(began))
	}
	slices.Sort(times)
	return times[len(times)/2]
}
