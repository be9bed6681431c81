package tezsign_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/tezsign"
	"highwater/tezsign/frame"
	"highwater/tezsign/tezsignsim"
)

// keysOf are two keys that are unlocked.
func readySim(t testing.TB) *tezsignsim.Gadget {
	t.Helper()
	return newSim(t, tezsignsim.Options{Serial: "ts-1", Keys: []string{"consensus", "companion"}})
}

func TestReplugWithoutPowerLossKeepsSigning(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := readySim(t)
		l := start(t, sim)
		for level := int32(1); level < 6; level++ {
			l.health(device.Ready)
			err := l.sign("consensus", payload(tezos.Attestation, level, 0, 0))
			require.NoError(t, err)
			sim.Unbind()
			l.health(device.Absent)
			sim.Bind()
		}
	})
}

func TestAnswerLostOnTheWayIsRescued(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := readySim(t)
		l := start(t, sim)
		l.health(device.Ready)
		sim.Stop()
		p := payload(tezos.Attestation, 10, 0, 1)
		err := l.sign("consensus", p)
		de := deviceError(t, err)
		require.True(t, de.Retry)
		require.True(t, de.Asked)
		require.ErrorIs(t, err, tezsign.ErrNoAnswer)
		sim.Continue() // it now does what the dead session asked, and delivers the answer to the next one
		l.health(device.Ready)
		err = l.sign("consensus", p)
		require.NoError(t, err)
		require.Len(t, sim.Signatures(), 1, "the answer that came late was used, or the second request came first")
		err = l.sign("consensus", payload(tezos.Attestation, 10, 0, 2)) // other bytes at that level and round
		require.ErrorIs(t, err, device.ErrRefused)
	})
}

func TestLateAnswerThatDoesNotVerifyIsNotUsed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := readySim(t)
		l := start(t, sim)
		l.health(device.Ready)
		sim.SpoilSignatures(1)
		sim.SetLatency(8 * time.Second)
		p := payload(tezos.Attestation, 10, 0, 1)
		require.ErrorIs(t, l.sign("consensus", p), tezsign.ErrNoAnswer)
		pause(5 * time.Second)
		require.ErrorIs(t, l.sign("consensus", p), device.ErrRefused)
	})
}

func TestRefusalOfAnsweredBytesDoesNotWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := start(t, readySim(t))
		l.health(device.Ready)
		p := payload(tezos.Attestation, 10, 0, 1)
		require.NoError(t, l.sign("consensus", p))
		begin := time.Now()
		require.ErrorIs(t, l.sign("consensus", p), device.ErrRefused)
		require.Zero(t, time.Since(begin), "there is no late answer to wait for")
	})
}

func TestManagementFrameCutOnTheWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := newSim(t, tezsignsim.Options{MaxPacket: 64, Keys: []string{"consensus"}})
		m := manager(sim)
		sim.CutWrites(tezsign.ManageInterface, 1)
		_, err := m.Lock(t.Context(), []string{strings.Repeat("long", 16)})
		require.Error(t, err)
		wrote := sim.Received(tezsign.ManageInterface)
		_, err = m.Version(t.Context())
		require.ErrorIs(t, err, tezsign.ErrWedged)
		require.Equal(t, wrote, sim.Received(tezsign.ManageInterface))
		sim.Unplug()
		_, err = m.Version(t.Context())
		require.ErrorIs(t, err, tezsign.ErrGone)
		require.NoError(t, sim.Replug())
		_, err = m.Version(t.Context())
		require.NoError(t, err)
	})
}

func TestAnswerLostForGoodIsARefusal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := readySim(t)
		l := start(t, sim)
		l.health(device.Ready)
		sim.DropAnswers(1)
		p := payload(tezos.Attestation, 10, 0, 1)
		err := l.sign("consensus", p)
		require.True(t, deviceError(t, err).Retry)
		err = l.sign("consensus", p)
		de := deviceError(t, err)
		require.ErrorIs(t, err, device.ErrRefused)
		require.False(t, de.Retry)
		var re *tezsign.RemoteError
		require.ErrorAs(t, err, &re)
		require.EqualValues(t, tezsign.CodeStale, re.Code)
		err = l.sign("consensus", payload(tezos.Attestation, 11, 0, 1))
		require.NoError(t, err)
	})
}

func TestLinkLostWhileSigningIsAbsorbedBySameBytes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := readySim(t)
		sim.SetLatency(50 * time.Millisecond)
		l := start(t, sim)
		l.health(device.Ready)
		p := payload(tezos.Block, 3, 0, 0)
		bounced := make(chan struct{})
		go func() {
			defer close(bounced)
			pause(20 * time.Millisecond)
			sim.Unbind()
			pause(10 * time.Millisecond)
			sim.Bind()
		}()
		err := l.sign("consensus", p)
		de := deviceError(t, err)
		require.True(t, de.Retry)
		require.True(t, de.Asked)
		<-bounced
		// The gadget was still at it when the link came back: its answer goes to the new session.
		err = l.sign("consensus", p)
		require.NoError(t, err)
		require.Len(t, sim.Signatures(), 1)
	})
}

func TestPowerCycleWithoutPassphraseSaysLocked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := readySim(t)
		l := start(t, sim)
		l.health(device.Ready)
		require.NoError(t, sim.PowerCycle())
		st := l.health(device.Locked)
		require.Equal(t, "highwater tezsign unlock companion consensus", st.Advice)
	})
}

// TestRestartedProgram: the gadget's program loses its memory while the link stays: a known key answers 31, "not
// found".
func TestRestartedProgram(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := lockedSim(t, "consensus")
		l := start(t, sim, withSecret)
		l.health(device.Ready)
		sim.Forget()
		p := payload(tezos.Block, 3, 0, 0)
		err := l.sign("consensus", p)
		de := deviceError(t, err)
		require.Equal(t, device.Locked, de.Health)
		require.ErrorContains(t, err, "locked: the gadget was restarted")
		require.NotErrorIs(t, err, device.ErrNoKey)
		require.True(t, de.Retry, "there is a passphrase: reconnecting unlocks it")
		l.health(device.Ready)
		err = l.sign("consensus", p)
		require.NoError(t, err)
	})
}

func TestRestartedProgramWithoutPassphrase(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := readySim(t)
		l := start(t, sim)
		l.health(device.Ready)
		sim.Forget()
		err := l.sign("consensus", payload(tezos.Block, 3, 0, 0))
		de := deviceError(t, err)
		require.Equal(t, device.Locked, de.Health)
		require.Equal(t, "highwater tezsign unlock consensus", de.Hint)
		require.False(t, de.Retry)
		require.False(t, de.Asked)
	})
}

func TestWedgedChannelIsRecognised(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim, err := tezsignsim.New(tezsignsim.Options{Keys: []string{"consensus"}})
		require.NoError(t, err)
		defer func() { require.NoError(t, sim.Close()) }()
		l := start(t, sim)
		l.health(device.Ready)
		sim.Wedge(tezsign.SignInterface)
		err = l.sign("consensus", payload(tezos.Block, 1, 0, 0))
		require.True(t, deviceError(t, err).Retry)
		st := l.health(device.Broken)
		require.Contains(t, st.Advice, "power-cycle the gadget")
		require.Contains(t, st.Detail, "wedged")
		sim.Unbind() // does not cure it
		l.health(device.Absent)
		sim.Bind()
		l.health(device.Broken)
		require.NoError(t, sim.PowerCycle())
		l.health(device.Locked)
		require.Len(t, sim.Violations(), 1)
		require.Contains(t, sim.Violations()[0], "torn header")
	})
}

func TestSilentGadgetIsNotCalledWedged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := readySim(t)
		l := start(t, sim)
		l.health(device.Ready)
		sim.Stop()
		st := l.health(device.Absent)
		require.NotContains(t, st.Detail, "wedged")
		pause(time.Minute)
		require.Equal(t, device.Absent, l.Status().Health)
		sim.Continue()
		l.health(device.Ready)
	})
}

// TestAnswersOfWholePackets: an answer of n × wMaxPacket bytes has no zero-length packet behind it.
func TestAnswersOfWholePackets(t *testing.T) {
	for _, maxPacket := range []int{64, 512} {
		bubble(t, func(t *testing.T) {
			sim := newSim(t, tezsignsim.Options{MaxPacket: maxPacket, Keys: []string{"consensus"}})
			l := start(t, sim)
			l.health(device.Ready)
			for n := 1; n < 1100; n++ {
				if at := (n + frame.HeaderLen) % maxPacket; at > 10 && at < maxPacket-20 {
					continue // nowhere near a whole packet
				}
				sim.SetVersion(strings.Repeat("v", n), "")
				v, err := l.Version(t.Context())
				require.NoError(t, err)
				require.Len(t, []rune(strings.TrimSuffix(v.Version, "…")), min(n, 300))
			}
		})
	}
}

// TestRequestsOfWholePackets: a request of n × wMaxPacket bytes needs a zero-length packet.
func TestRequestsOfWholePackets(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := newSim(t, tezsignsim.Options{MaxPacket: 64, Keys: []string{"consensus"}})
		m := manager(sim)
		for n := 1; n <= 64; n++ {
			keys, err := m.NewKeys(t.Context(), []string{strings.Repeat("k", n)}, []byte(tezsignsim.DefaultPassphrase), nil)
			require.NoError(t, err)
			require.NoError(t, keys[0].Err)
		}
	})
}

func TestRetryOfTheGadgetIsHonouredForASignature(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := readySim(t)
		l := start(t, sim)
		l.health(device.Ready)
		sim.LoseRequests(1)
		err := l.sign("consensus", payload(tezos.Block, 1, 0, 0))
		require.NoError(t, err)
		sim.LoseRequests(2) // once is absorbed in the session, twice is for a new one
		err = l.sign("consensus", payload(tezos.Block, 2, 0, 0))
		require.True(t, deviceError(t, err).Retry)
		err = l.sign("consensus", payload(tezos.Block, 2, 0, 0))
		require.NoError(t, err)
	})
}

func TestFrameCutOnTheWayStopsEverything(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := newSim(t, tezsignsim.Options{MaxPacket: 64, Keys: []string{"consensus"}})
		l := start(t, sim)
		l.health(device.Ready)
		sim.CutWrites(tezsign.SignInterface, 1)
		err := l.sign("consensus", payload(tezos.Block, 1, 0, 0))
		de := deviceError(t, err)
		require.Equal(t, device.Broken, de.Health)
		require.Contains(t, de.Hint, "power-cycle")
		st := l.health(device.Broken)
		require.Contains(t, st.Detail, "cut off")
		wrote := sim.Received(tezsign.SignInterface)
		pause(time.Minute)
		require.Equal(t, wrote, sim.Received(tezsign.SignInterface), "the gadget would take it for the frame's rest")
		require.Equal(t, device.Broken, l.Status().Health)
		sim.Unplug()
		l.health(device.Absent)
		require.NoError(t, sim.Replug())
		l.health(device.Locked)
	})
}

func TestStartingGadgetIsNotWrittenTo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := readySim(t)
		sim.SetReady(false)
		l := start(t, sim)
		st := l.until("starting", func(s device.Status) bool { return strings.Contains(s.Detail, "starting") })
		require.Equal(t, device.Absent, st.Health)
		sim.SetReady(true)
		l.health(device.Ready)
	})
}

func TestSigningInterfaceInUse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := readySim(t)
		g, err := sim.Open(t.Context(), "")
		require.NoError(t, err)
		ch, err := g.Claim(t.Context(), tezsign.SignInterface)
		require.NoError(t, err)
		l := start(t, sim)
		st := l.health(device.Busy)
		require.Contains(t, st.Advice, "another program")
		require.NoError(t, ch.Close())
		l.health(device.Ready)
	})
}

func TestTwoGadgetsWithoutSerial(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := newSim(t, tezsignsim.Options{Keys: []string{"a"}}), newSim(t, tezsignsim.Options{Keys: []string{"b"}})
		for _, serial := range []string{"", tezsign.DefaultSerial} {
			l := start(t, a, func(c *tezsign.Config) {
				c.Serial, c.Open = serial, tezsignsim.Bus{a, b}.Open
			})
			st := l.health(device.Broken)
			require.Contains(t, st.Detail, "no serial of their own")
		}
	})
}

func TestPinnedBySerial(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := newSim(t, tezsignsim.Options{Serial: "A", Keys: []string{"a"}})
		b := newSim(t, tezsignsim.Options{Serial: "B", Keys: []string{"b"}})
		l := start(t, a, func(c *tezsign.Config) { c.Serial, c.Open = "B", tezsignsim.Bus{a, b}.Open })
		require.Equal(t, "B", l.health(device.Ready).ID)
		require.Equal(t, "b", l.Keys()[0].Alias)
		b.Unplug()
		l.until("told", func(s device.Status) bool {
			return s.Health == device.Absent && strings.Contains(s.Detail, "no gadget of the 1 connected has the serial B")
		})
	})
}

func TestOddPayloadsDoNotReachTheGadget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := readySim(t)
		l := start(t, sim)
		l.health(device.Ready)
		other := payload(tezos.Attestation, 1, 0, 0)
		other[1] ^= 1
		for name, p := range map[string][]byte{
			"empty": nil, "operation": {3, 1, 2, 3}, "another chain": other,
			"short": payload(tezos.Attestation, 1, 0, 0)[:46], "long": append(payload(tezos.Attestation, 1, 0, 0), 0),
		} {
			err := l.sign("consensus", p)
			require.ErrorIs(t, err, device.ErrRefused, name)
			require.False(t, deviceError(t, err).Asked, name)
		}
		require.Empty(t, sim.Signatures())
		require.Equal(t, device.Ready, l.Status().Health)
	})
}

func TestSimulatorRefusesMainnet(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := readySim(t)
		l := start(t, sim, func(c *tezsign.Config) { c.Chain = tezos.Mainnet })
		l.health(device.Ready)
		p := payload(tezos.Attestation, 1, 0, 0)
		copy(p[1:], tezos.Mainnet[:])
		err := l.sign("consensus", p)
		require.ErrorContains(t, err, "mainnet")
	})
}

func TestUnknownKeyAndMissingAlias(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := readySim(t)
		l := start(t, sim, func(c *tezsign.Config) { c.Aliases = []string{"consensus", "third"} })
		st := l.health(device.Ready)
		require.Contains(t, st.Advice, "no key third")
		require.Len(t, l.Keys(), 1)
		turn, err := l.Turn(t.Context())
		require.NoError(t, err)
		_, err = turn.Sign(t.Context(), tezos.PublicKeyHash{Curve: tezos.BLS12381}, payload(tezos.Block, 1, 0, 0))
		turn.Done()
		require.ErrorIs(t, err, device.ErrNoKey)
	})
}

func TestGadgetWithoutKeys(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := start(t, newSim(t, tezsignsim.Options{}))
		st := l.health(device.Broken)
		require.Contains(t, st.Advice, "highwater tezsign init")
	})
}

func TestProofOfPossession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := start(t, lockedSim(t, "consensus")) // a locked key has a proof too
		l.health(device.Locked)
		k := l.key("consensus").PublicKey
		proof, err := l.Prove(t.Context(), k.Hash())
		require.NoError(t, err)
		require.NoError(t, k.VerifyPossession(proof))
		_, err = l.Prove(t.Context(), tezos.PublicKeyHash{Curve: tezos.BLS12381})
		require.ErrorIs(t, err, device.ErrNoKey)
	})
}

func TestTurnWaitsNoLongerThanItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := readySim(t)
		l := start(t, sim)
		l.health(device.Ready)
		sim.Unplug()
		l.health(device.Absent)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := l.Turn(ctx)
		require.Equal(t, device.Absent, deviceError(t, err).Health)
	})
}
