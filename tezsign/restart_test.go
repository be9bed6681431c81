package tezsign_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/tezsign"
	"highwater/tezsign/frame"
	pb "highwater/tezsign/tezsignpb"
	"highwater/tezsign/tezsignsim"
)

// The gadget's program is restarted while USB stays, and nobody asks for a signature: the idle probe finds all keys
// locked, and the keys are unlocked again.
func TestRestartThatTheProbeFinds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := lockedSim(t, "consensus", "companion")
		l := start(t, sim, withSecret)
		l.health(device.Ready)
		for level := range int32(3) {
			sim.Forget()
			pause(5 * time.Second)
			keys, err := l.KeyStates(t.Context())
			require.NoError(t, err)
			require.False(t, keys[0].Locked || keys[1].Locked)
			require.NoError(t, l.sign("consensus", payload(tezos.Block, level+3, 0, 0)))
			require.NoError(t, l.sign("companion", payload(tezos.Block, level+3, 0, 0)))
			pause(30 * time.Second) // the gadget takes five passphrases in that time
		}
	})
}

// Keys that another program locked, all at once, stay locked: the gadget knows them, so it was not restarted.
func TestAnotherProgramsLockIsNotUndone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := lockedSim(t, "consensus", "companion")
		source := &countAsks{text: "secret"}
		l := start(t, sim, func(c *tezsign.Config) { c.Passphrase = source })
		l.health(device.Ready)
		asked := source.asked.Load()
		other := tezsign.NewManager(tezsign.ManagerConfig{Name: "other", Open: sim.Open, Log: slog.New(slog.DiscardHandler)})
		_, err := other.Lock(t.Context(), []string{"consensus", "companion"})
		require.NoError(t, err)
		l.health(device.Locked)
		pause(10 * time.Second)
		require.Equal(t, device.Locked, l.Status().Health)
		require.Equal(t, asked, source.asked.Load())
	})
}

// Another program moves the gadget's marks while we run: the first refusal as stale has them compared, and not the
// next connection.
func TestMarksThatAnotherProgramMoved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := newSim(t, tezsignsim.Options{Serial: "ts-1", Keys: []string{"consensus"}})
		host := &reconciler{}
		l := startWith(t, sim, host, func(c *tezsign.Config) { c.Name = slowProbes })
		require.NoError(t, l.sign("consensus", payload(tezos.Attestation, 100, 0, 0)))
		before := len(host.seen())
		other := tezsign.NewManager(tezsign.ManagerConfig{Name: "other", Open: sim.Open, Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, other.SetLevel(t.Context(), "consensus", 500, tezsign.LevelOptions{HostMark: -1}))
		require.ErrorIs(t, l.sign("consensus", payload(tezos.Attestation, 101, 0, 0)), device.ErrRefused)
		calls := host.seen()
		require.Len(t, calls, before+1, "compared at once")
		for _, m := range calls[before] {
			require.EqualValues(t, 500, m.Level)
		}
		require.NoError(t, l.sign("consensus", payload(tezos.Attestation, 501, 0, 0)), "the session goes on")
		require.Len(t, host.seen(), before+1)
	})
}

// kill is a process that asks for a signature and is killed before the answer.
func kill(t *testing.T, sim *tezsignsim.Gadget, tz4 string, p []byte) {
	t.Helper()
	g, err := sim.Open(t.Context(), "")
	require.NoError(t, err)
	ch, err := g.Claim(t.Context(), tezsign.SignInterface)
	require.NoError(t, err)
	body, err := proto.Marshal(&pb.Request{Body: &pb.Request_Sign{Sign: &pb.Sign{Tz4: tz4, Message: p}}})
	require.NoError(t, err)
	wire, err := frame.Encode(frame.Frame{Type: frame.Request, ID: frame.NewID(), Payload: body})
	require.NoError(t, err)
	_, err = ch.Write(t.Context(), wire)
	require.NoError(t, err)
	require.NoError(t, ch.Close())
}

// The answer to a process that was killed comes to the next one. It serves for exactly the bytes that it signs, with
// exactly that key, and for nothing else.
func TestSignatureThatAKilledProcessAskedFor(t *testing.T) {
	for name, latency := range map[string]time.Duration{"made before": 0, "still being made": 200 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				sim := newSim(t, tezsignsim.Options{Keys: []string{"consensus", "companion"}, Latency: latency})
				m := tezsign.NewManager(tezsign.ManagerConfig{Name: "m", Open: sim.Open, Log: slog.New(slog.DiscardHandler)})
				keys, err := m.Status(t.Context())
				require.NoError(t, err)
				tz4 := map[string]string{}
				for _, k := range keys {
					tz4[k.Alias] = k.PKH.String()
				}
				kill(t, sim, tz4["consensus"], payload(tezos.Attestation, 100, 0, 1))
				kill(t, sim, tz4["companion"], payload(tezos.Attestation, 100, 0, 2))
				pause(latency / 2)

				l := start(t, sim)
				err = l.sign("consensus", payload(tezos.Attestation, 100, 0, 2))
				require.ErrorIs(t, err, device.ErrRefused, "another key's bytes")
				require.ErrorIs(t, l.sign("consensus", payload(tezos.Attestation, 99, 0, 1)), device.ErrRefused)
				require.NoError(t, l.sign("companion", payload(tezos.Attestation, 100, 0, 2))) // sign verifies
				require.NoError(t, l.sign("consensus", payload(tezos.Attestation, 100, 0, 1)))
				require.NoError(t, l.sign("consensus", payload(tezos.Attestation, 101, 0, 1)))
				require.Len(t, sim.Signatures(), 3)
			})
		})
	}
}

// TestExchangesPerSignature: a signature is one round trip with the gadget, whatever else the host does.
func TestExchangesPerSignature(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := newSim(t, tezsignsim.Options{Keys: []string{"consensus"}})
		l := startWith(t, sim, &reconciler{}, func(c *tezsign.Config) { c.Name = slowProbes })
		require.NoError(t, l.sign("consensus", payload(tezos.Attestation, 1, 0, 0)))
		before, management := sim.Requests(tezsign.SignInterface), sim.Requests(tezsign.ManageInterface)
		for level := range int32(20) {
			require.NoError(t, l.sign("consensus", payload(tezos.Attestation, level+2, 0, 0)))
		}
		require.Equal(t, 20, sim.Requests(tezsign.SignInterface)-before)
		require.Zero(t, sim.Requests(tezsign.ManageInterface)-management)
	})
}
