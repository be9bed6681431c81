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

func (*lostAnswer) History(context.Context) ([]history.Series, error) { return nil, nil }

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
