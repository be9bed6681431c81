package signer_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
	"highwater/signer"
	"highwater/signer/signertest"
)

// bubble runs a signer over a memStore, on a bubble's clock.
func bubble(t *testing.T, disk time.Duration, config func(*signer.Config),
	f func(t *testing.T, s *signer.Signer, m *signertest.Store), devices ...*signertest.Device,
) {
	t.Helper()
	m := signertest.NewStore(disk, devices[0].Held()...)
	cfg := signer.Config{Chain: ghost, Store: m}
	for _, d := range devices {
		cfg.Devices = append(cfg.Devices, d)
	}
	if config != nil {
		config(&cfg)
	}
	s := signer.New(cfg)
	s.Learn()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	f(t, s, m)
	cancel()
	running.Wait()
}

func budget(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// The device works while the disk works: a request takes as long as the slower of the two.
func TestOverlap(t *testing.T) {
	for _, c := range []struct{ device, disk, want time.Duration }{
		{200 * time.Millisecond, 10 * time.Millisecond, 200 * time.Millisecond},
		{50 * time.Millisecond, 300 * time.Millisecond, 300 * time.Millisecond},
		{0, 5 * time.Millisecond, 5 * time.Millisecond},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				key := newKey(t, tezos.Ed25519, 0)
				d := newDevice("left", key)
				d.Script(slow(c.device))
				var seen signer.Outcome
				bubble(t, c.disk, func(cfg *signer.Config) { cfg.Observe = func(o signer.Outcome) { seen = o } },
					func(t *testing.T, s *signer.Signer, m *signertest.Store) {
						start := time.Now()
						_, err := s.Sign(t.Context(), key.PublicKey().Hash(), block(20, 0, 1))
						require.NoError(t, err)
						require.Equal(t, c.want, time.Since(start))
						require.Equal(t, 1, m.Durable())
						require.Equal(t, c.device, seen.DeviceFor)
						require.Equal(t, max(0, c.disk-c.device), seen.CommitFor)
					}, d)
			})
		})
	}
}

// Different keys on different devices never wait for each other, different kinds of one key only for the device, and
// requests of one kind for each other.
func TestWhoWaitsForWhom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newKey(t, tezos.Ed25519, 0), newKey(t, tezos.Ed25519, 1)
		left, right := newDevice("left", a), newDevice("right", b)
		left.Script(slow(time.Second))
		right.Script(slow(100 * time.Millisecond))
		m := signertest.NewStore(time.Millisecond, a, b)
		s := signer.New(signer.Config{Chain: ghost, Store: m, Devices: []signer.Device{left, right}})
		s.Learn()
		start := time.Now()
		took := make([]time.Duration, 3)
		var all sync.WaitGroup
		for i, ask := range []struct {
			key     *softkey.Key
			payload []byte
		}{{a, block(20, 0, 1)}, {b, block(20, 0, 1)}, {a, payloadOf(tezos.Ed25519, tezos.Attestation, 20, 0, 1)}} {
			all.Go(func() {
				if i == 2 {
					<-time.After(time.Millisecond) // after the block
				}
				_, err := s.Sign(t.Context(), ask.key.PublicKey().Hash(), ask.payload)
				took[i] = time.Since(start)
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		require.Equal(t, []time.Duration{time.Second, 100 * time.Millisecond, 2 * time.Second}, took)
		require.Len(t, left.Asks(), 2)
	})
}

// A client that gives up while it queues, for the lock of its kind or for the device, has spent no mark.
func TestGivingUpWhileQueueing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newKey(t, tezos.Secp256k1, 0)
		d := newDevice("left", key)
		d.Script(slow(10 * time.Second))
		bubble(t, time.Millisecond, nil, func(t *testing.T, s *signer.Signer, m *signertest.Store) {
			pkh := key.PublicKey().Hash()
			var first sync.WaitGroup
			first.Go(func() {
				if _, err := s.Sign(t.Context(), pkh, block(20, 0, 1)); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
			var late *signer.TimeoutError
			_, err := s.Sign(budget(t, time.Second), pkh, block(21, 0, 1)) // waits for the lock
			require.ErrorAs(t, err, &late)
			require.False(t, late.Gone)
			// Waits for the device.
			_, err = s.Sign(budget(t, time.Second), pkh, payloadOf(tezos.Secp256k1, tezos.Attestation, 21, 0, 1))
			require.Error(t, err)
			first.Wait()
			synctest.Wait()
			require.Len(t, d.Asks(), 1)
			for kind, want := range map[tezos.Kind]int32{tezos.Block: 20, tezos.Attestation: 10} {
				st, err := m.State(hwm.Key{Chain: ghost, PKH: pkh, Kind: kind})
				require.NoError(t, err)
				require.Equal(t, want, st.Mark.Level, "%s", kind)
			}
		}, d)
	})
}

// Whoever runs out of time is told by what: by the disk when the device has signed, by a device that does not answer,
// by its queue; and behind another request by what that one waits for.
func TestWhatTheTimeWasSpentOn(t *testing.T) {
	for name, c := range map[string]struct {
		device, disk   time.Duration
		first, behind  string // reasons
		says, hint     string
		saysBehind     string
		stage, another signer.Stage
	}{
		"disk": {
			time.Millisecond, 10 * time.Second, "slow_disk", "slow_disk",
			"device has signed, and the watermark is not on the disk", "disk of the state directory",
			"an earlier request of the same kind is not finished", signer.StageDisk, signer.StageDisk,
		},
		"device": {
			10 * time.Second, time.Millisecond, "timeout", "timeout", "device left was asked, and has not answered",
			"look at the device",
			"not finished: device left was asked", signer.StageDevice, signer.StageDevice,
		},
		"device and disk": {
			10 * time.Second, 20 * time.Second, "timeout", "timeout", "device left was asked", "look at the device",
			"not finished: device left was asked", signer.StageDevice, signer.StageDevice,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				key := newKey(t, tezos.Secp256k1, 0)
				d := newDevice("left", key)
				d.Script(slow(c.device))
				var seen []signer.Outcome
				observe := func(cfg *signer.Config) { cfg.Observe = func(o signer.Outcome) { seen = append(seen, o) } }
				bubble(t, c.disk, observe, func(t *testing.T, s *signer.Signer, _ *signertest.Store) {
					pkh := key.PublicKey().Hash()
					var late *signer.TimeoutError
					_, err := s.Sign(budget(t, 3*time.Second), pkh, block(20, 0, 1))
					require.Equal(t, c.first, signer.ReasonOf(err))
					require.ErrorAs(t, err, &late)
					require.Equal(t, c.stage, late.Stage)
					require.ErrorContains(t, err, c.says)
					require.Contains(t, late.HintText(), c.hint)
					_, err = s.Sign(budget(t, 3*time.Second), pkh, block(21, 0, 1))
					require.Equal(t, c.behind, signer.ReasonOf(err))
					require.ErrorAs(t, err, &late)
					require.True(t, late.Behind)
					require.Equal(t, c.another, late.Stage)
					require.ErrorContains(t, err, c.saysBehind)
					for _, o := range seen {
						require.Equal(t, c.first == "slow_disk", o.WaitedForDisk())
					}
				}, d)
			})
		})
	}
}

// A request that waits for the device is decided once more when its turn comes: what was to be resumed is not, when an
// operator or the other instance has put a floor above it meanwhile.
func TestDecidedAgainWithTheTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newKey(t, tezos.P256, 0)
		d := newDevice("left", key)
		bubble(t, time.Millisecond, nil, func(t *testing.T, s *signer.Signer, m *signertest.Store) {
			pkh, payload := key.PublicKey().Hash(), block(20, 0, 1)
			req, err := tezos.Decode(tezos.P256, payload)
			require.NoError(t, err)
			interrupted, floor := hwm.MarkFor(req, at), hwm.Floor(30, at, hwm.SourceSet)
			m.Set(hwm.Key{Chain: ghost, PKH: pkh, Kind: tezos.Block}, hwm.State{Mark: &interrupted, Fresh: true})
			turn, err := d.Turn(t.Context())
			require.NoError(t, err)
			answers := make(chan error, 1)
			go func() {
				_, err := s.Sign(t.Context(), pkh, payload)
				answers <- err
			}()
			synctest.Wait()
			m.Set(hwm.Key{Chain: ghost, PKH: pkh, Kind: tezos.Block}, hwm.State{Mark: &floor})
			turn.Done()
			require.Equal(t, "not_above", signer.ReasonOf(<-answers))
			require.Empty(t, d.Asks())
		}, d)
	})
}

// A client that was gone before its turn came costs nothing either, however the race of the two ends.
func TestGoneBeforeItsTurn(t *testing.T) {
	r := newRig(t, tezos.Ed25519)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 {
		_, err := r.s.Sign(gone, r.pkh(), r.payload(tezos.Block, 20, 0, 1))
		require.Error(t, err)
		_, err = r.s.Sign(t.Context(), r.pkh(), r.payload(tezos.Block, 1, 0, 1)) // refused, once the one before has ended
		require.Error(t, err)
	}
	r.mustSign(r.payload(tezos.Attestation, 20, 0, 1))
	r.restart() // which waits for those that nobody waits for
	require.Len(t, r.device.Asks(), 1)
	require.Equal(t, int32(10), r.at(tezos.Block).Level)
}

// A budget that ends while the device works: the signature is kept, and given to the next who asks for the same bytes.
func TestLateSignatureIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newKey(t, tezos.P256, 0)
		d := newDevice("left", key)
		d.Script(slow(5 * time.Second))
		bubble(t, time.Millisecond, nil, func(t *testing.T, s *signer.Signer, _ *signertest.Store) {
			pkh := key.PublicKey().Hash()
			start := time.Now()
			_, err := s.Sign(budget(t, 3*time.Second), pkh, block(20, 0, 1))
			require.Equal(t, "timeout", signer.ReasonOf(err))
			require.False(t, signer.Refused(err))
			require.Equal(t, 3*time.Second, time.Since(start))
			_, err = s.Sign(budget(t, time.Second), pkh, block(20, 0, 1)) // still on its way
			require.Error(t, err)
			sig, err := s.Sign(budget(t, 3*time.Second), pkh, block(20, 0, 1))
			require.NoError(t, err)
			require.Equal(t, 5*time.Second, time.Since(start), "it comes when the device is done")
			require.NoError(t, key.PublicKey().Verify(block(20, 0, 1), sig))
			_, err = s.Sign(t.Context(), pkh, block(20, 0, 2))
			require.Equal(t, "conflict", signer.ReasonOf(err))
			require.Len(t, d.Asks(), 1)
		}, d)
	})
}

// 5. Standing by: newcomers are refused at once, those inside are waited for, and then nothing moves any more.
func TestStandDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newKey(t, tezos.Ed25519, 0)
		d := newDevice("left", key)
		d.Script(slow(2 * time.Second))
		bubble(t, time.Millisecond, nil, func(t *testing.T, s *signer.Signer, m *signertest.Store) {
			pkh := key.PublicKey().Hash()
			var inside sync.WaitGroup
			inside.Go(func() {
				if _, err := s.Sign(t.Context(), pkh, block(20, 0, 1)); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
			start := time.Now()
			stood := make(chan error, 1)
			go func() {
				_, err := s.Stand(t.Context(), hwm.Standby, "moving")
				stood <- err
			}()
			synctest.Wait()
			_, err := s.Sign(t.Context(), pkh, block(20, 0, 1))
			require.Equal(t, signer.NotActive, signer.ReasonOf(err), "a newcomer while it drains")
			require.Equal(t, hwm.Active, m.Role().Role, "the role changed before the last one was out")
			require.NoError(t, <-stood)
			require.Equal(t, 2*time.Second, time.Since(start))
			inside.Wait()
			require.Equal(t, hwm.Standby, m.Role().Role)
		}, d)
	})
}

// A device that hangs is given up: its signature never leaves, and whoever queued behind it neither moves a mark nor
// asks it.
func TestStandGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newKey(t, tezos.Ed25519, 0)
		d := newDevice("left", key)
		d.Script(slow(time.Hour))
		bubble(t, time.Millisecond, nil, func(t *testing.T, s *signer.Signer, m *signertest.Store) {
			pkh := key.PublicKey().Hash()
			answers := make(chan error, 2)
			for _, kind := range []tezos.Kind{tezos.Block, tezos.Attestation} {
				go func() {
					sig, err := s.Sign(t.Context(), pkh, payloadOf(tezos.Ed25519, kind, 20, 0, 1))
					if !sig.IsZero() {
						t.Errorf("a %s left", kind)
					}
					answers <- err
				}()
				synctest.Wait()
			}
			start := time.Now()
			_, err := s.Stand(t.Context(), hwm.Standby, "moving")
			require.NoError(t, err)
			require.Equal(t, signer.DrainTimeout, time.Since(start))
			require.Equal(t, hwm.Standby, m.Role().Role)
			for range 2 {
				require.Equal(t, signer.NotActive, signer.ReasonOf(<-answers))
			}
			require.Len(t, d.Asks(), 1, "the device was asked after the instance stood by")
			st, err := m.State(hwm.Key{Chain: ghost, PKH: pkh, Kind: tezos.Attestation})
			require.NoError(t, err)
			require.Equal(t, int32(10), st.Mark.Level, "a mark moved after the last marks were read")
		}, d)
	})
}

// A fault that would be absorbed is not, once the instance stands by: an epoch that was given up stays given up after
// the next activation.
func TestGivenUpStaysGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newKey(t, tezos.Ed25519, 0)
		d := newDevice("left", key)
		d.Script(slow(time.Minute))
		bubble(t, time.Millisecond, nil, func(t *testing.T, s *signer.Signer, _ *signertest.Store) {
			answer := make(chan error, 1)
			go func() {
				_, err := s.Sign(t.Context(), key.PublicKey().Hash(), block(20, 0, 1))
				answer <- err
			}()
			synctest.Wait()
			_, err := s.Stand(t.Context(), hwm.Standby, "away")
			require.NoError(t, err)
			_, err = s.Activate(nil, "and back")
			require.NoError(t, err)
			require.Equal(t, signer.NotActive, signer.ReasonOf(<-answer))
			d.Script(nil)
			_, err = s.Sign(t.Context(), key.PublicKey().Hash(), payloadOf(tezos.Ed25519, tezos.Attestation, 20, 0, 1))
			require.NoError(t, err, "whoever comes after the next activation was not given up")
		}, d)
	})
}

// Once the device is asked, its exchange goes on when the client has gone. It is not asked again past the budget:
// nobody waits for that.
func TestWhatTheDeviceIsToldOfTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newKey(t, tezos.P256, 0)
		d := newDevice("left", key)
		d.Script(func(ctx context.Context, _ tezos.PublicKeyHash, _ []byte) (tezos.Signature, error) {
			select {
			case <-ctx.Done():
				t.Error("an exchange was broken off")
			case <-time.After(5 * time.Second):
			}
			return tezos.Signature{}, &device.Error{
				Device: "left", Health: device.Ready, Retry: true, Asked: true, Err: errors.New("answer lost"),
			}
		})
		bubble(t, time.Millisecond, nil, func(t *testing.T, s *signer.Signer, _ *signertest.Store) {
			_, err := s.Sign(budget(t, 3*time.Second), key.PublicKey().Hash(), block(20, 0, 1))
			require.Equal(t, "timeout", signer.ReasonOf(err))
			<-time.After(time.Minute)
			require.Len(t, d.Asks(), 1)
		}, d)
	})
}

// A request that needs no device waits for nobody who does, of another kind of its key.
func TestAReplayWaitsForNoOtherKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newKey(t, tezos.Ed25519, 0)
		d := newDevice("left", key)
		bubble(t, time.Millisecond, nil, func(t *testing.T, s *signer.Signer, _ *signertest.Store) {
			pkh := key.PublicKey().Hash()
			_, err := s.Sign(t.Context(), pkh, block(20, 0, 1))
			require.NoError(t, err)
			d.Script(slow(time.Minute))
			attested := make(chan error, 1)
			go func() {
				_, attErr := s.Sign(t.Context(), pkh, payloadOf(tezos.Ed25519, tezos.Attestation, 20, 0, 1))
				attested <- attErr
			}()
			synctest.Wait()
			start := time.Now()
			_, err = s.Sign(budget(t, time.Second), pkh, block(20, 0, 1))
			require.NoError(t, err)
			require.Equal(t, start, time.Now())
			require.NoError(t, <-attested)
		}, d)
	})
}

// What Run has ended stays ended: no role that comes after it lets anybody in.
func TestNothingIsSignedAfterTheEnd(t *testing.T) {
	r := newRig(t, tezos.Ed25519)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.s.Run(ctx)
	require.NoError(t, r.s.Resume(nil))
	_, err := r.s.Stand(t.Context(), hwm.Standby, "moving")
	require.NoError(t, err)
	_, err = r.s.Activate(nil, "and back")
	require.NoError(t, err)
	require.False(t, r.s.Active())
	r.mustRefuse(r.payload(tezos.Block, 20, 0, 1), signer.NotActive)
	require.Empty(t, r.device.Asks())
}

// An instance is not activated with a key that lacks a mark: it would be active, and not sign.
func TestNoActivationWithoutMarks(t *testing.T) {
	key := newKey(t, tezos.Ed25519, 0)
	bubble(t, time.Millisecond, nil, func(t *testing.T, s *signer.Signer, m *signertest.Store) {
		_, err := s.Stand(t.Context(), hwm.Standby, "moving")
		require.NoError(t, err)
		m.Set(hwm.Key{Chain: ghost, PKH: key.PublicKey().Hash(), Kind: tezos.Preattestation}, hwm.State{})
		_, err = s.Activate(nil, "go")
		require.Equal(t, string(hwm.NoMark), signer.ReasonOf(err))
		require.False(t, s.Active())
		require.Equal(t, hwm.Standby, m.Role().Role)
	}, newDevice("left", key))
}

// In another owner's epoch a key without a ceiling does not sign, from the moment on in which that epoch may be on the
// disk.
func TestAKeyWithoutACeilingInTheMomentOfTheRelease(t *testing.T) {
	key := newKey(t, tezos.Ed25519, 0)
	bubble(t, time.Millisecond, nil, func(t *testing.T, s *signer.Signer, m *signertest.Store) {
		_, err := s.Sign(t.Context(), key.PublicKey().Hash(), block(20, 0, 1))
		require.NoError(t, err)
		meanwhile := errors.New("it was not asked")
		m.OnRole(func() { _, meanwhile = s.Sign(t.Context(), key.PublicKey().Hash(), block(21, 0, 1)) })
		_, err = s.Become(t.Context(), hwm.RoleRecord{Role: hwm.Active, Epoch: 2, Owner: hwm.InstanceID{9}}, nil)
		require.NoError(t, err)
		require.Equal(t, signer.NotActive, signer.ReasonOf(meanwhile), "%v", meanwhile)
	}, newDevice("left", key))
}

// Two operators at once: whatever the order, the gate is open only while the durable role is active.
func TestActivateAgainstStand(t *testing.T) {
	key := newKey(t, tezos.Ed25519, 0)
	d := newDevice("left", key)
	bubble(t, time.Millisecond, nil, func(t *testing.T, s *signer.Signer, m *signertest.Store) {
		_, err := s.Stand(t.Context(), hwm.Standby, "before")
		require.NoError(t, err)
		entered, release := make(chan struct{}), make(chan struct{})
		m.OnRole(func() { // the activation is durable, and has not returned
			m.OnRole(nil)
			close(entered)
			<-release
		})
		activated, stood := make(chan error, 1), make(chan error, 1)
		go func() {
			_, actErr := s.Activate(nil, "go")
			activated <- actErr
		}()
		<-entered
		go func() {
			_, standErr := s.Stand(t.Context(), hwm.Fenced, "no")
			stood <- standErr
		}()
		select {
		case err = <-stood: // it did not wait: then the activation comes last
		case <-time.After(100 * time.Millisecond):
			close(release)
			require.NoError(t, <-activated)
			err = <-stood
			activated <- nil
			release = make(chan struct{})
		}
		require.NoError(t, err)
		close(release)
		require.NoError(t, <-activated)
		require.Equal(t, hwm.Fenced, m.Role().Role)
		require.False(t, s.Active(), "it signs while its durable role is fenced")
		_, err = s.Sign(t.Context(), key.PublicKey().Hash(), block(20, 0, 1))
		require.Equal(t, signer.NotActive, signer.ReasonOf(err))
	}, d)
}

// Two devices hold the key: when the first is gone, the second signs the same request, and both stand behind one mark.
func TestWarmSpare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newKey(t, tezos.Ed25519, 0)
		first, spare := newDevice("first", key), newDevice("spare", key)
		policy := func(c *signer.Config) {
			c.Keys = []signer.KeyPolicy{{PKH: key.PublicKey().Hash(), Devices: []string{"first", "spare"}}}
		}
		bubble(t, time.Millisecond, policy, func(t *testing.T, s *signer.Signer, _ *signertest.Store) {
			pkh := key.PublicKey().Hash()
			sign := func(level int32) error {
				_, err := s.Sign(budget(t, 3*time.Second), pkh, block(level, 0, 1))
				return err
			}
			require.NoError(t, sign(20))
			require.Len(t, first.Asks(), 1)
			require.Empty(t, spare.Asks(), "in order of preference")

			first.Become(device.Absent)
			require.NoError(t, sign(21))
			require.Len(t, spare.Asks(), 1)
			_, err := s.Sign(t.Context(), pkh, block(20, 0, 2))
			require.Equal(t, "not_above", signer.ReasonOf(err))
			first.Become(device.Ready)
			require.NoError(t, sign(22))
			require.Len(t, first.Asks(), 2)

			// It fails in the middle: the spare is asked for the same bytes, within the same request.
			first.Script(func(context.Context, tezos.PublicKeyHash, []byte) (tezos.Signature, error) {
				first.Become(device.Absent)
				return tezos.Signature{}, &device.Error{
					Device: "first", Health: device.Absent, Retry: true, Asked: true, Err: errors.New("unplugged"),
				}
			})
			require.NoError(t, sign(23))
			require.Equal(t, block(23, 0, 1), first.Asks()[2])
			require.Equal(t, block(23, 0, 1), spare.Asks()[1])

			// It is busy with somebody else when it goes away: whoever queues at it goes over to the spare.
			first.Script(nil)
			first.Become(device.Ready)
			busy, turnErr := first.Turn(t.Context())
			require.NoError(t, turnErr)
			done := make(chan error, 1)
			go func() { done <- sign(24) }()
			synctest.Wait()
			first.Become(device.Absent)
			require.NoError(t, <-done)
			require.Equal(t, block(24, 0, 1), spare.Asks()[2])
			busy.Done()

			// Both gone, one comes back within the budget.
			spare.Become(device.Locked)
			go func() { done <- sign(25) }()
			synctest.Wait()
			<-time.After(2 * time.Second)
			first.Become(device.Ready)
			require.NoError(t, <-done)

			// Neither comes back: no mark is spent, and the reason is the preferred device's.
			first.Become(device.Locked)
			start := time.Now()
			err = sign(26)
			require.Equal(t, "device_locked", signer.ReasonOf(err))
			require.Equal(t, 3*time.Second, time.Since(start))
			first.Become(device.Ready)
			require.NoError(t, sign(26))
		}, first, spare)
	})
}

// Without a policy any device that holds the key signs, also one that came by it after the last search for one.
func TestKeyMovesToAnotherDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := newKey(t, tezos.Ed25519, 0)
		first, second := newDevice("first", key), newDevice("second")
		bubble(t, time.Millisecond, func(*signer.Config) {}, func(t *testing.T, s *signer.Signer, _ *signertest.Store) {
			sign := func(level int32) error {
				_, err := s.Sign(budget(t, 3*time.Second), key.PublicKey().Hash(), block(level, 0, 1))
				return err
			}
			require.NoError(t, sign(20))
			require.NoError(t, sign(21))
			require.Len(t, first.Asks(), 2)
			first.Hold()
			first.Become(device.Ready) // read again: another key is on it
			require.Equal(t, "device_absent", signer.ReasonOf(sign(22)))
			second.Hold(key)
			second.Become(device.Ready)
			require.NoError(t, sign(22))
			require.Len(t, second.Asks(), 1)
			require.Len(t, first.Asks(), 2)
		}, first, second)
	})
}
