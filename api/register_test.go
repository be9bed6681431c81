package api_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/api"
	"highwater/operate"
	"highwater/register"
)

// sharedView is a register that only shows its view.
type sharedView struct {
	operate.Register
	view register.View
}

func (s sharedView) View() register.View { return s.view }
func (s sharedView) Ready() error        { return nil }

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
		"the instance 0102, up to level 9, by the register; epoch 4", "automatic takeover is off", st.Register.Trouble(),
	} {
		require.Contains(t, page, text)
	}
}
