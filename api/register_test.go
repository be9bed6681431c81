package api_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/api"
	"highwater/failover"
	"highwater/failover/moment"
	"highwater/hwm"
	"highwater/internal/checklist"
	"highwater/operate"
	"highwater/register"
)

// sharedView is a register that only shows its view.
type sharedView struct {
	operate.Register
	view    register.View
	unready error
}

func (s sharedView) View() register.View { return s.view }
func (s sharedView) Ready() error        { return s.unready }

func (r *rig) share(v register.View) {
	r.admin.Shared, r.admin.Register = true, sharedView{view: v}
}

func TestGaugesOfTheRegister(t *testing.T) {
	r := newRig(t)
	_, there := r.gauge("highwater_register_owner")
	require.False(t, there, "an instance without a register has no such metric")

	head := int32(100)
	r.share(register.View{Mine: true, Epoch: 7, Horizon: 103, Head: &head})
	for name, want := range map[string]float64{
		"owner": 1, "epoch": 7, "silent_seconds": 0, "denied": 0, "levels_left": 3,
	} {
		got, ok := r.gauge("highwater_register_" + name)
		require.True(t, ok, name)
		require.InDelta(t, want, got, 0, name)
	}
	r.share(register.View{Denied: true, SilentMS: (90 * time.Second).Milliseconds()})
	for name, want := range map[string]float64{"owner": 0, "silent_seconds": 90, "denied": 1} {
		got, _ := r.gauge("highwater_register_" + name)
		require.InDelta(t, want, got, 0, name)
	}
	_, there = r.gauge("highwater_register_levels_left")
	require.False(t, there, "no record was read, and a horizon is shown")
}

func TestThePageTellsOfTheRegister(t *testing.T) {
	r := newRig(t)
	r.share(register.View{
		MaySign: "the instance 0102, up to level 9", Epoch: 4, Why: "automatic takeover is off",
		SilentMS: 3000, Error: "refused",
	})
	st, err := r.admin.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, "the register has not answered for 3 s: refused", st.Register.Trouble())
	page := ask(t, serve(t, api.NewMonitor(r.admin, r.metrics)), "GET", "/", "").body
	for _, text := range []string{
		"the instance 0102, up to level 9, by the register", "automatic takeover is off", st.Register.Trouble(),
	} {
		require.Contains(t, page, text)
	}
}

// TestAMomentOfARegister: a handover wants the register to answer, and this machine to be ready. A pause alone wants
// neither. Without an owner each moment is good.
func TestAMomentOfARegister(t *testing.T) {
	r := newRig(t)
	r.paired()
	sister := register.View{Owner: hwm.InstanceID{5}, Epoch: 4, MaySign: "the instance 05"}
	silent, free, mine := sister, sister, sister
	silent.Error, free.Owner, mine.Mine = "no member answers", hwm.InstanceID{}, true
	for name, c := range map[string]struct {
		shared sharedView
		alone  bool
		stands checklist.ID // of the line in the way; empty: a good moment
		nobody bool
	}{
		"a sister machine signs": {shared: sharedView{view: sister}},
		"silent register":        {shared: sharedView{view: silent}, stands: checklist.OtherInstance},
		"silent, a pause":        {shared: sharedView{view: silent}, alone: true},
		"not ready":              {shared: sharedView{view: sister, unready: errors.New("locked")}, stands: checklist.ThisInstance},
		"not ready, a pause":     {shared: sharedView{view: sister, unready: errors.New("locked")}, alone: true},
		"the owner is not asked": {shared: sharedView{view: mine, unready: errors.New("locked")}},
		"nobody signs":           {shared: sharedView{view: free}, nobody: true},
		"nobody signs, not ready": {
			shared: sharedView{view: free, unready: errors.New("locked")}, stands: checklist.ThisInstance, nobody: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r.admin.Shared, r.admin.Register = true, c.shared
			m, err := r.admin.Moment(t.Context(), moment.Window{Alone: c.alone, Within: 10})
			require.NoError(t, err)
			signing, asked := checklist.Find(m.Findings, checklist.Signing)
			require.Equal(t, c.nobody, asked && strings.HasPrefix(signing.Detail, "nobody signs"), "%+v", m.Findings)
			_, looked := checklist.Find(m.Findings, checklist.OtherInstance)
			require.Equal(t, !c.alone, looked, "%+v", m.Findings)
			stands := checklist.Stands(m.Findings)
			if c.stands == "" {
				require.Nil(t, stands)
				require.True(t, m.Good)
				return
			}
			require.NotNil(t, stands)
			require.Equal(t, c.stands, stands.ID)
			require.False(t, m.Good)
		})
	}
}

// TestARegisterRefusesAPairsCommands holds the commands that give the right to sign past the register.
func TestARegisterRefusesAPairsCommands(t *testing.T) {
	r := newRig(t)
	r.paired()
	r.share(register.View{Owner: r.store.Instance(), Mine: true, Epoch: 4})
	_, err := r.admin.Release(t.Context(), operate.ReleaseRequest{At: floor + 10})
	require.ErrorContains(t, err, "only the register moves the right")
	_, err = r.admin.Accept(t.Context(), operate.AcceptRequest{})
	require.ErrorContains(t, err, "only the register moves the right")
	_, err = r.admin.SetPeer(t.Context(), operate.PeerRequest{Address: "other:1", Key: hwm.InstanceID{9}})
	require.ErrorContains(t, err, "only the register moves the right")
	level := int32(floor + 10)
	h, err := r.admin.Handover(t.Context(), failover.HandoverRequest{At: &level})
	require.NoError(t, err)
	require.ErrorContains(t, h.Refusal, "not from a level on")
}
