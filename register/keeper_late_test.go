package register_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/register"
	"highwater/register/registertest"
)

// lateWrites is a register that applies what was given up before the next write comes.
type lateWrites struct{ *registertest.Register }

func (l lateWrites) Swap(ctx context.Context, prev register.Entry, next []byte) (register.Entry, bool, error) {
	for l.Pending() > 0 {
		l.ApplyLate(0)
	}
	return l.Register.Swap(ctx, prev, next)
}

// next lets a fault happen to the next write only.
func next(reg *registertest.Register, fault registertest.Fault) {
	reg.Fault = func() registertest.Fault {
		reg.Fault = nil
		return fault
	}
}

// lateOwner gives a machine whose owner is gone, and whose acquisition is given up, and not applied yet.
func lateOwner(t *testing.T) (*registertest.Register, *host, *int32) {
	t.Helper()
	reg, hosts, head := three(t)
	h := newHost(lateWrites{reg}, 1, 2, head)
	h.keeper.Step(t.Context())
	*head += 3*ahead + patience
	next(reg, registertest.Late)
	h.keeper.Step(t.Context())
	require.Equal(t, 1, reg.Pending(), "%+v", h.keeper.State())
	require.False(t, hosts[1].signing || h.signing)
	return reg, h, head
}

// signsOn wants a machine that signs, and follows the head.
func signsOn(t *testing.T, h *host, head *int32) {
	t.Helper()
	for range 2 * ahead {
		*head++
		h.keeper.Step(t.Context())
	}
	require.Len(t, h.begun, 1)
	require.True(t, h.sign(*head), "an owner that does not sign: %+v", h.keeper.State())
}

// TestALateAcquisitionBeforeTheNextAcquisition applies the first acquisition between the read and the write of the
// second.
func TestALateAcquisitionBeforeTheNextAcquisition(t *testing.T) {
	reg, h, head := lateOwner(t)
	h.keeper.Step(t.Context())
	require.Zero(t, reg.Pending())
	signsOn(t, h, head)
}

// TestALateAcquisitionBeforeAQuestion applies the acquisition before an operator asks the owner for the right: the owner
// is this machine.
func TestALateAcquisitionBeforeAQuestion(t *testing.T) {
	reg, h, head := lateOwner(t)
	require.True(t, reg.ApplyLate(0))
	_, err := h.keeper.Ask(t.Context())
	require.NoError(t, err)
	signsOn(t, h, head)
}

// TestALateAcquisitionOfAMachineThatIsAside lets an operator put the machine on standby meanwhile.
func TestALateAcquisitionOfAMachineThatIsAside(t *testing.T) {
	reg, h, _ := lateOwner(t)
	h.barred = "an operator put this instance on standby"
	require.True(t, reg.ApplyLate(0))
	h.keeper.Step(t.Context())
	require.Empty(t, h.begun, "a late answer is no word of an operator")
	rec, err := h.right.Read(t.Context())
	require.NoError(t, err)
	require.True(t, rec.Released(), "the right stays at a machine that does not sign: %+v", rec)
}

// TestAReleaseWithoutItsMarksIsMadeAgain lets the disk fail between the end of signing and the release.
func TestAReleaseWithoutItsMarksIsMadeAgain(t *testing.T) {
	_, hosts, _ := three(t)
	hosts[0].unread = errors.New("no marks")
	_, err := hosts[0].keeper.Release(t.Context(), hwm.InstanceID{}, "stopped")
	require.ErrorContains(t, err, "no marks")
	hosts[0].unread = nil
	hosts[0].keeper.Step(t.Context())
	require.Len(t, hosts[0].begun, 1, "nothing begins under a fence")
	hosts[1].keeper.Step(t.Context())
	require.Len(t, hosts[1].begun, 1, "the right stays at a machine that does not sign")
}

// TestOnlyAReleasedRightIsTakenBack gives the right away, and lets another machine take the right in the last moment.
func TestOnlyAReleasedRightIsTakenBack(t *testing.T) {
	_, hosts, _ := three(t)
	_, err := hosts[0].keeper.Release(t.Context(), hwm.InstanceID{}, "by hand")
	require.NoError(t, err)
	hosts[2].keeper.Step(t.Context())
	require.Len(t, hosts[2].begun, 1)
	_, err = hosts[0].keeper.TakeBack(t.Context())
	require.ErrorIs(t, err, register.ErrElsewhere)
	require.True(t, hosts[0].keeper.State().Silent.IsZero(), "a machine's own refusal is no silence of the register")
	hosts[2].keeper.Step(t.Context())
	require.True(t, hosts[2].signing, "the right was taken from a living owner")

	_, err = hosts[2].keeper.Release(t.Context(), hwm.InstanceID{}, "by hand")
	require.NoError(t, err)
	_, err = hosts[2].keeper.TakeBack(t.Context())
	require.NoError(t, err)
	require.True(t, hosts[2].signing)
}

// TestATakeoverRefusedHereIsNoSilence wants no word of a silent register where this machine itself refuses.
func TestATakeoverRefusedHereIsNoSilence(t *testing.T) {
	reg, head := registertest.New(), new(int32)
	*head = 100
	_, _, err := reg.Create(t.Context(), register.First(chain, 0, 1<<30, nil))
	require.NoError(t, err)
	h := newHost(reg, 0, 1, head)
	_, err = h.keeper.Takeover(t.Context())
	require.ErrorContains(t, err, "too far")
	require.True(t, h.keeper.State().Silent.IsZero())
}

// TestARegisterThatRefusesWrites answers each look, and no write, as a full etcd does: the time of the trouble grows.
func TestARegisterThatRefusesWrites(t *testing.T) {
	reg, hosts, head := three(t)
	reg.Fault = func() registertest.Fault { return registertest.Refuse }
	*head++
	hosts[0].keeper.Step(t.Context())
	began := hosts[0].keeper.State().Silent
	require.False(t, began.IsZero())
	for range 3 {
		*head++
		hosts[0].keeper.Step(t.Context())
		require.Equal(t, began, hosts[0].keeper.State().Silent, "the trouble began anew")
	}
	reg.Fault = nil
	hosts[0].keeper.Step(t.Context())
	require.True(t, hosts[0].keeper.State().Silent.IsZero())
}

// TestAStandbyWithoutAHeadHearsTheOwner starts a standby whose node tells its first head after the first look.
func TestAStandbyWithoutAHeadHearsTheOwner(t *testing.T) {
	reg, hosts, head := three(t)
	lagging := *head
	hosts[0].head = &lagging
	*head += 20
	h := newHost(reg, 1, 2, head)
	h.headless = true
	h.keeper.Step(t.Context())
	h.headless = false
	h.keeper.Step(t.Context())
	require.Empty(t, h.begun, "the record was looked at for no level: %s", fmt.Sprint(h.keeper.State().Why))
}
