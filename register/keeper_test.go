package register_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/register"
	"highwater/register/registertest"
)

// host is a machine with a keeper, without a signer: it records what it is told.
type host struct {
	machine
	keeper  *register.Keeper
	head    *int32
	broken  error
	signing bool
	begun   []register.Record
	ended   []string
	barred  string
	denied  []error
	quiet   error
	unread  error // of the marks

	headless bool // its node tells no head
}

func (h *host) Head() (int32, bool) {
	if h.headless {
		return 0, false
	}
	return *h.head, true
}

func (h *host) Ready() error     { return h.broken }
func (h *host) Signing() bool    { return h.signing }
func (h *host) Barred() string   { return h.barred }
func (h *host) Denied(err error) { h.denied = append(h.denied, err) }
func (h *host) Changed()         {}

func (h *host) Follow(register.Record) error { return nil }

func (h *host) Near(level int32) error {
	if level > *h.head+10_000 {
		return errors.New("the register is too far above the chain")
	}
	return nil
}

func (h *host) Begin(_ context.Context, r register.Record) error {
	h.signing, h.begun = true, append(h.begun, r)
	return nil
}

func (h *host) End(_ context.Context, why string) error {
	if h.signing {
		h.signing, h.ended = false, append(h.ended, why)
	}
	return nil
}

func (h *host) Marks() ([]register.Mark, error) {
	out := make([]register.Mark, 0, len(h.marks))
	for kind, p := range h.marks {
		out = append(out, register.Mark{PKH: key, Kind: kind, Level: p.Level, Round: p.Round})
	}
	return out, h.unread
}

// sign tells whether a request for a level would be signed.
func (h *host) sign(level int32) bool {
	floor, limit, ok := h.right.May(key, tezos.Attestation)
	at := hwm.Position{Level: level}
	if !h.signing || !ok || level > limit || at.Compare(floor) <= 0 || at.Compare(h.marks[tezos.Attestation]) <= 0 {
		return false
	}
	h.marks[tezos.Attestation] = at
	return true
}

const ahead, patience = 3, 2

// three gives three hosts on one register and one chain; the first is the owner.
func three(t *testing.T) (*registertest.Register, []*host, *int32) {
	t.Helper()
	reg, head := registertest.New(), new(int32)
	*head = 100
	_, _, err := reg.Create(t.Context(), register.First(chain, 0, 100, nil))
	require.NoError(t, err)
	hosts := make([]*host, 3)
	for i := range hosts {
		hosts[i] = newHost(reg, i, 1, head)
	}
	hosts[0].keeper.Step(t.Context())
	require.True(t, hosts[0].signing, "the first machine does not sign: %+v", hosts[0].keeper.State())
	return reg, hosts, head
}

func newHost(reg register.Backend, i, life int, head *int32) *host {
	h := &host{head: head, machine: machine{id: hwm.InstanceID{byte(i + 1)}, marks: map[tezos.Kind]hwm.Position{}}}
	h.right = register.New(register.Config{
		Backend: reg, Memory: &h.machine, Chain: chain, Me: h.id, Life: fmt.Sprint("life", i, life), Ahead: ahead,
		Priority: int32(i),
	})
	h.keeper = h.with(int32(i))
	return h
}

// with gives the host a keeper of a priority.
func (h *host) with(priority int32) *register.Keeper {
	return register.NewKeeper(register.KeeperConfig{
		Right: h.right, Machine: h, Me: h.id,
		Policy: register.Policy{Automatic: true, Patience: patience, Priority: priority},
		Log:    slog.New(&stepWatch{Handler: slog.DiscardHandler, host: h}),
		Quiet:  func(context.Context) error { return h.quiet },
	})
}

// stepWatch is the log of every host: a line that is written during a step spoils the test, since a log that nobody
// reads would stop the keeper.
type stepWatch struct {
	slog.Handler
	host *host
}

func (*stepWatch) Enabled(context.Context, slog.Level) bool { return true }

func (w *stepWatch) Handle(_ context.Context, r slog.Record) error {
	if !w.host.keeper.StepIsOver() {
		panic(r.Message + ": written during a step")
	}
	return nil
}

func TestOwnerFollowsTheHead(t *testing.T) {
	_, hosts, head := three(t)
	for range 20 {
		*head++
		for _, h := range hosts {
			h.keeper.Step(t.Context())
		}
		require.True(t, hosts[0].sign(*head), "level %d was not signed: %+v", *head, hosts[0].keeper.State())
		_, limit, _ := hosts[0].right.May(key, tezos.Block)
		require.Equal(t, *head+ahead, limit)
		require.False(t, hosts[1].signing || hosts[2].signing, "a standby took over from a living owner")
	}
}

func TestDeadOwnerIsReplacedWithoutAPerson(t *testing.T) {
	_, hosts, head := three(t)
	missed := 0
	for range 20 { // the owner's process makes no step any more
		*head++
		hosts[1].keeper.Step(t.Context())
		hosts[2].keeper.Step(t.Context())
		if !hosts[1].sign(*head) {
			missed++
		}
	}
	require.LessOrEqual(t, missed, ahead+2)
	require.Len(t, hosts[1].begun, 1)
	require.Empty(t, hosts[2].begun, "the machine of lower priority took over too")
	require.False(t, hosts[0].sign(*head), "the old owner signs above its horizon")
	hosts[0].keeper.Step(t.Context())
	require.Equal(t, []string{"another machine took the right to sign"}, hosts[0].ended)
}

func TestNobodyTakesOverUnready(t *testing.T) {
	_, hosts, head := three(t)
	hosts[1].broken = errors.New("device left is locked")
	for range 20 {
		*head++
		hosts[1].keeper.Step(t.Context())
	}
	require.Empty(t, hosts[1].begun)
	require.Contains(t, hosts[1].keeper.State().Why, "device left is locked")
	for range patience + 3 {
		*head++
		hosts[2].keeper.Step(t.Context())
	}
	require.Len(t, hosts[2].begun, 1, "the next machine in order did not take over")
}

func TestPlannedHandoverMissesNothing(t *testing.T) {
	_, hosts, head := three(t)
	for range 5 {
		*head++
		hosts[0].keeper.Step(t.Context())
		require.True(t, hosts[0].sign(*head))
	}
	_, err := hosts[0].keeper.Release(t.Context(), hosts[2].id, "asked")
	require.NoError(t, err)
	require.False(t, hosts[0].sign(*head+1))
	hosts[1].keeper.Step(t.Context())
	require.Empty(t, hosts[1].begun, "a machine took what was given to another one")
	hosts[2].keeper.Step(t.Context())
	require.False(t, hosts[2].sign(*head), "the level that the old owner signed was signed again")
	*head++
	require.True(t, hosts[2].sign(*head), "the next level was missed")
}

func TestSilentRegisterCostsNothingUpToTheHorizon(t *testing.T) {
	reg, hosts, head := three(t)
	reg.Silent = true
	reg.Fault = func() registertest.Fault { return registertest.Refuse }
	start := *head
	for *head < start+ahead {
		*head++
		hosts[0].keeper.Step(t.Context())
		require.True(t, hosts[0].sign(*head), "level %d", *head)
	}
	require.False(t, hosts[0].keeper.State().Silent.IsZero(), "the silence is not told")
	*head++
	hosts[0].keeper.Step(t.Context())
	require.False(t, hosts[0].sign(*head), "a level above the horizon was signed")
	reg.Silent, reg.Fault = false, nil
	hosts[0].keeper.Step(t.Context())
	require.True(t, hosts[0].sign(*head), "signing did not go on within one level")
}

func TestRestoredRegisterGivesNobodyTheRight(t *testing.T) {
	reg, hosts, head := three(t)
	backup := reg.Backup()
	for range 10 {
		*head++
		for _, h := range hosts {
			h.keeper.Step(t.Context())
		}
	}
	reg.Restore(backup)
	*head += 20
	for _, h := range hosts[1:] {
		h.keeper.Step(t.Context())
		require.ErrorIs(t, h.keeper.State().Err, register.ErrOlder)
		require.Empty(t, h.begun)
	}
}

func TestAskedForIsGivenWithoutALevelMissed(t *testing.T) {
	_, hosts, head := three(t)
	*head++
	hosts[0].keeper.Step(t.Context())
	require.True(t, hosts[0].sign(*head))
	_, err := hosts[2].keeper.Ask(t.Context())
	require.NoError(t, err)
	require.True(t, hosts[0].signing, "a question alone ends nothing")
	hosts[0].keeper.Step(t.Context())
	require.False(t, hosts[0].signing)
	hosts[1].keeper.Step(t.Context())
	require.Empty(t, hosts[1].begun, "what was given to another machine was taken")
	hosts[2].keeper.Step(t.Context())
	require.False(t, hosts[2].sign(*head), "the level that the old owner signed was signed again")
	*head++
	require.True(t, hosts[2].sign(*head))
}

func TestARestartedOwnerIsAStandby(t *testing.T) {
	reg, hosts, head := three(t)
	restarted := newHost(reg, 0, 2, head)
	restarted.signing = true // its role outlived the earlier process
	restarted.keeper.Step(t.Context())
	require.Empty(t, restarted.begun, "a new process went on under the record of an earlier one")
	require.Len(t, restarted.ended, 1, "a machine without the right calls itself active")
	for *head < 100+ahead {
		*head++
		restarted.keeper.Step(t.Context())
		require.False(t, restarted.sign(*head), "level %d may be signed already", *head)
		require.True(t, *head == 100+ahead || len(restarted.begun) == 0, "it took over at %d, below the horizon", *head)
	}
	*head++
	restarted.keeper.Step(t.Context())
	require.True(t, restarted.sign(*head))
	hosts[0].keeper.Step(t.Context())
	require.False(t, hosts[0].signing)
}

func TestAnOwnerWhoseNodeLags(t *testing.T) {
	_, hosts, head := three(t)
	lagging := *head
	hosts[0].head = &lagging
	*head += 20
	for range 20 {
		*head++
		lagging++
		for _, h := range hosts {
			h.keeper.Step(t.Context())
		}
		require.Empty(t, hosts[1].begun, "a standby took over from an owner that extends, at %d", *head)
	}
}

func TestAReleasedRightIsTakenAtOnce(t *testing.T) {
	_, hosts, _ := three(t)
	_, err := hosts[0].keeper.Release(t.Context(), hwm.InstanceID{}, "stopped")
	require.NoError(t, err)
	hosts[2].keeper.Step(t.Context())
	require.Len(t, hosts[2].begun, 1)
}

func TestAMachineThatIsKeptAsideTakesNothing(t *testing.T) {
	_, hosts, head := three(t)
	hosts[1].barred = "an operator put it on standby"
	for range 20 {
		*head++
		hosts[1].keeper.Step(t.Context())
	}
	require.Empty(t, hosts[1].begun)
	require.Equal(t, hosts[1].barred, hosts[1].keeper.State().Why)
	_, err := hosts[1].keeper.Takeover(t.Context())
	require.NoError(t, err, "an operator's word counts")
	require.Len(t, hosts[1].begun, 1)
}

func TestAFarHorizonIsNotTakenOver(t *testing.T) {
	reg, head := registertest.New(), new(int32)
	*head = 100
	_, _, err := reg.Create(t.Context(), register.First(chain, 0, 1<<30, nil))
	require.NoError(t, err)
	h := newHost(reg, 0, 1, head)
	h.keeper.Step(t.Context())
	require.Empty(t, h.begun)
	require.Contains(t, h.keeper.State().Why, "too far")
	_, err = h.keeper.Takeover(t.Context())
	require.ErrorContains(t, err, "too far")
}

func TestAnOwnerThatCannotSignIsReplaced(t *testing.T) {
	_, hosts, head := three(t)
	hosts[0].signing = false // its devices are gone
	for range 20 {
		*head++
		hosts[0].keeper.Step(t.Context())
		hosts[1].keeper.Step(t.Context())
	}
	require.Len(t, hosts[1].begun, 1)
}

func TestAnOlderRegisterEndsItsOwnerToo(t *testing.T) {
	reg, hosts, head := three(t)
	backup := reg.Backup()
	for range 5 {
		*head++
		hosts[0].keeper.Step(t.Context())
	}
	reg.Restore(backup)
	for range 3 {
		hosts[0].keeper.Step(t.Context())
	}
	require.False(t, hosts[0].sign(*head), "an owner signs by a register that another machine may begin from")
	require.Len(t, hosts[0].denied, 1, "it is told once")
	require.ErrorIs(t, hosts[0].denied[0], register.ErrOlder)
	require.Len(t, hosts[0].ended, 1)
}

func TestARecordThatIsGoneEndsItsOwner(t *testing.T) {
	reg, hosts, head := three(t)
	reg.Delete()
	hosts[0].keeper.Step(t.Context())
	require.False(t, hosts[0].sign(*head+1))
	require.ErrorIs(t, hosts[0].denied[0], register.ErrAbsent)
	*head += 20
	hosts[1].keeper.Step(t.Context())
	require.Empty(t, hosts[1].begun, "an absent record is no fresh start")
}

func TestAMarkThatSomebodySetFarDoesNotTravel(t *testing.T) {
	_, hosts, head := three(t)
	hosts[0].marks[tezos.Block] = hwm.Position{Level: 1 << 30}
	_, err := hosts[0].keeper.Release(t.Context(), hwm.InstanceID{}, "stopped")
	require.NoError(t, err)
	hosts[1].keeper.Step(t.Context())
	require.Len(t, hosts[1].begun, 1)
	require.LessOrEqual(t, hosts[1].begun[0].Horizon, *head+2*ahead)
	floor, limit, ok := hosts[1].right.May(key, tezos.Block)
	require.True(t, ok)
	require.Less(t, floor.Level, limit)
}

// TestNoFlapping lets machines come and go at random. The right moves only where its owner was away: a living, ready
// owner keeps it.
func TestNoFlapping(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		_, hosts, head := three(t)
		away := []int{0, 0, 0}
		took := 0
		looked := []int32{0, 0, 0} // the level at which each machine looked at the register last
		for range 200 {
			*head++
			for i, h := range hosts {
				if away[i] > 0 {
					away[i]--
					continue
				}
				if rnd.IntN(60) == 0 {
					away[i] = 1 + rnd.IntN(15)
					continue
				}
				before := len(h.begun)
				h.keeper.Step(t.Context())
				looked[i] = *head
				if len(h.begun) > before {
					took++
					for j, o := range hosts {
						require.False(t, j != i && o.signing && looked[j] >= *head-1,
							"seed %d: machine %d took over from %d, which signs", seed, i, j)
					}
				}
			}
		}
		require.Less(t, took, 30, "seed %d: the right moved %d times in 200 levels", seed, took)
	}
}
