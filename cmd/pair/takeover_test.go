package pair

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/cmd/cli"
	"highwater/failover"
	"highwater/failover/wire"
	"highwater/internal/checklist"
	"highwater/internal/device"
	"highwater/internal/terminal"
	"highwater/operate"
	"highwater/signer"
)

// lateSight is a daemon whose chain shows a signature of ours, of before, just when the evidence has been looked at.
// Which look it comes after cannot be arranged with a real one.
type lateSight struct {
	operate.Failover
	operate.Devices
	answers []operate.TakeoverAnswer
	checks  []bool // what was asked, in order
}

func (l *lateSight) Takeover(_ context.Context, r failover.TakeoverRequest) (operate.TakeoverAnswer, error) {
	l.checks = append(l.checks, r.Check)
	next := l.answers[0]
	l.answers = l.answers[1:]
	return next, nil
}

func (*lateSight) RaiseDevices(context.Context) ([]signer.DeviceMarks, error) { return nil, nil }

func evidence(result checklist.Result, refusal string) operate.TakeoverAnswer {
	var t operate.TakeoverAnswer
	t.Ready = result == checklist.OK
	t.Findings = []checklist.Line{checklist.New(checklist.Silence, result, "", "").Passing()}
	if refusal != "" {
		t.Refusal = &wire.Refusal{Reason: refusal, Text: "one silent level is missing"}
	}
	return t
}

// TestTakeoverLooksAgain: a signature of before that comes on chain between the last look and the step costs some
// silent levels more, and does not end the command.
func TestTakeoverLooksAgain(t *testing.T) {
	done := evidence(checklist.OK, "")
	done.Done = true
	silent, heard := evidence(checklist.OK, ""), evidence(checklist.Waiting, wire.NotReady)
	for name, c := range map[string]struct {
		answers []operate.TakeoverAnswer
		wait    time.Duration
		checks  []bool
		error   bool
	}{
		"heard again": {
			answers: []operate.TakeoverAnswer{silent, heard, evidence(checklist.Waiting, ""), silent, done},
			wait:    time.Minute, checks: []bool{true, false, true, true, false},
		},
		"heard twice": {
			answers: []operate.TakeoverAnswer{silent, heard, silent, heard, silent, done}, wait: time.Minute,
			checks: []bool{true, false, true, false, true, false},
		},
		"no time": {
			answers: []operate.TakeoverAnswer{evidence(checklist.Waiting, ""), heard},
			checks:  []bool{true, false}, error: true,
		},
		"final refusal": {
			answers: []operate.TakeoverAnswer{silent, evidence(checklist.Waiting, wire.IsActive)},
			wait:    time.Minute, checks: []bool{true, false}, error: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			daemon := &lateSight{answers: c.answers}
			var out, err bytes.Buffer
			a := &app{App: &cli.App{Terminal: terminal.New(strings.NewReader(""), &out, &err)}}
			f := &takeoverFlags{r: failover.TakeoverRequest{CannotSign: true}, yes: true, noWait: true, wait: c.wait}
			got := a.takeover(t.Context(), operate.Admin{Failover: daemon, Devices: daemon}, f)
			require.Equal(t, c.checks, daemon.checks)
			require.Empty(t, daemon.answers)
			if c.error {
				require.ErrorContains(t, got, "one silent level is missing")
				return
			}
			require.NoError(t, got)
			require.Contains(t, out.String(), "taken over")
		})
	}
}

// TestADeviceWithoutAMark is not said to be at a level.
func TestADeviceWithoutAMark(t *testing.T) {
	require.Contains(t, markFinding("marks of left", device.Standing{Level: -1, Allowed: -1}).Detail,
		"the device shows no mark")
	require.Contains(t, markFinding("marks of left", device.Standing{Level: 7, Allowed: -1}).Detail, "at level 7")
}
