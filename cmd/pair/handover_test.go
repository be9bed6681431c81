package pair

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/api"
	"highwater/cmd/cli"
	"highwater/failover"
	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/bringup"
	"highwater/internal/checklist"
	"highwater/internal/config"
	"highwater/internal/history"
	"highwater/internal/terminal"
	"highwater/operate"
	"highwater/register"
)

// slowStep is a daemon that is in the middle of a handover for so long.
type slowStep struct {
	operate.Failover
	takes time.Duration
}

func (s slowStep) Handover(ctx context.Context, _ failover.HandoverRequest) (h operate.HandoverAnswer, err error) {
	select {
	case <-time.After(s.takes):
		h.Done = true
	case <-ctx.Done():
		err = ctx.Err()
	}
	return h, err
}

// TestInterruptedHandover: who presses Ctrl-C while the step is made hears whether it was. Only a daemon that does not
// say is left.
func TestInterruptedHandover(t *testing.T) {
	for name, c := range map[string]struct {
		takes time.Duration
		done  bool
	}{
		"answered":     {takes: time.Second, done: true},
		"not answered": {takes: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, interrupt := context.WithCancel(t.Context())
				time.AfterFunc(time.Millisecond, interrupt)
				var out, errw bytes.Buffer
				a := &app{App: &cli.App{Terminal: terminal.New(strings.NewReader(""), &out, &errw)}}
				begin := time.Now()
				h, err := a.handOver(ctx, operate.Admin{Failover: slowStep{takes: c.takes}}, &handoverFlags{now: true})
				require.Equal(t, c.done, h.Done)
				if c.done {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, context.Canceled)
				}
				require.LessOrEqual(t, time.Since(begin), lastWords+time.Second)
			})
		})
	}
}

// lostAnswer is a daemon that brings the right to sign here and does not say so, or refuses while somebody else brings
// it.
type lostAnswer struct {
	operate.Failover
	refuses bool
	asked   int
}

func (l *lostAnswer) Handover(context.Context, failover.HandoverRequest) (h operate.HandoverAnswer, err error) {
	l.asked++
	switch {
	case l.asked > 1:
		h.Done = true
	case l.refuses:
		h.Refusal = &wire.Refusal{Reason: wire.NotReady, Text: "a handover is under way already"}
	default:
		err = &api.NoAnswerError{Request: "POST /v1/handover"}
	}
	return h, err
}

func (*lostAnswer) History(context.Context, int) ([]history.Series, int, error) { return nil, 0, nil }

func (l *lostAnswer) Status(context.Context) (st operate.Status, err error) {
	st.Role.Role = hwm.Active
	return st, nil
}

// TestDrillAfterALostAnswer gives back what the drill brought, and not what somebody else did.
func TestDrillAfterALostAnswer(t *testing.T) {
	for name, refuses := range map[string]bool{"lost": false, "refused": true} {
		t.Run(name, func(t *testing.T) {
			var out, errw bytes.Buffer
			daemon := &lostAnswer{refuses: refuses}
			r := &realDrill{
				app: &app{App: &cli.App{Terminal: terminal.New(strings.NewReader(""), &out, &errw)}}, cfg: &config.Config{},
				admin: operate.Admin{Failover: daemon, Monitor: daemon},
				f:     drillFlags{handover: true}, d: &bringup.Drill{},
			}
			r.f.now = true
			r.run(t.Context())
			require.Equal(t, !refuses, r.back)
			require.Equal(t, checklist.Bad, r.d.Result)
			require.Equal(t, map[bool]int{false: 2, true: 1}[refuses], daemon.asked)
		})
	}
}

// member is a daemon of a register: the right comes, and goes back to its owner, or stays.
type member struct {
	operate.Failover
	operate.Watermarks
	stays bool
	asked []failover.HandoverRequest
}

func (m *member) Handover(_ context.Context, r failover.HandoverRequest) (h operate.HandoverAnswer, err error) {
	m.asked = append(m.asked, r)
	if m.stays && len(m.asked) > 1 {
		h.Refusal = &wire.Refusal{Reason: wire.NotReady, Text: "nobody took the right"}
		return h, nil
	}
	h.Done = true
	return h, nil
}

func (*member) History(context.Context, int) ([]history.Series, int, error) { return nil, 0, nil }

func (*member) Marks(context.Context) ([]operate.MarkRow, error) {
	level, at := int32(1_000), time.Now().Add(time.Second)
	return []operate.MarkRow{{Signed: true, Level: &level, UpdatedAt: &at}}, nil
}

func (*member) Status(context.Context) (st operate.Status, err error) {
	st.Role.Role = hwm.Active
	return st, nil
}

// TestDrillOfARegisterGoesBack wants the right back at the very instance that gave the right, of all the standbys, and
// wants the lines of the drill to name the instance.
func TestDrillOfARegisterGoesBack(t *testing.T) {
	owner := hwm.InstanceID{7}
	for name, stays := range map[string]bool{"back": false, "stays": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out, errw bytes.Buffer
				daemon := &member{stays: stays}
				r := &realDrill{
					app: &app{App: &cli.App{Terminal: terminal.New(strings.NewReader(""), &out, &errw)}}, cfg: &config.Config{},
					admin: operate.Admin{Failover: daemon, Monitor: daemon, Watermarks: daemon},
					f:     drillFlags{handover: true, levels: 1, wait: time.Minute}, d: &bringup.Drill{At: time.Now()},
				}
				r.holder, r.peer = holderOf(operate.Status{Register: &register.View{Owner: owner}})
				r.f.now = true
				r.run(t.Context())
				require.Equal(t, !stays, r.back)
				require.GreaterOrEqual(t, len(daemon.asked), 2)
				for _, ask := range daemon.asked[1:] {
					require.Equal(t, &owner, ask.To, "the right goes to a machine that had no right before the drill")
				}
				last := r.d.Lines[len(r.d.Lines)-1]
				require.Equal(t, checklist.Back, last.ID)
				require.Contains(t, last.Detail+last.Hint, owner.Short())
			})
		})
	}
}

func TestDrillable(t *testing.T) {
	for want, view := range map[string]register.View{
		"":                   {Owner: hwm.InstanceID{7}},
		"signs already":      {Owner: hwm.InstanceID{7}, Mine: true},
		"no machine has":     {},
		"talk through their": {},
	} {
		err := drillable(operate.Status{Running: !strings.HasPrefix(want, "talk"), Register: &view})
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, want)
	}
}
