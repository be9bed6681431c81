package bringup_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/bringup"
	"highwater/internal/checklist"
)

var now = time.Date(2026, 5, 4, 3, 2, 1, 999, time.FixedZone("x", 3600))

// bench is a checklist whose steps find what a test says, on a disk that a test can read.
type bench struct {
	finds map[string]checklist.Line
	acts  map[string]checklist.Line
	acted []string
	disk  []byte
	saves int
	fail  int // the save that fails, counted from 1
	shown []bringup.Entry
	list  *bringup.Checklist
}

func newBench(t *testing.T, r *bringup.Record, steps ...bringup.Step) *bench {
	t.Helper()
	b := &bench{finds: map[string]checklist.Line{}, acts: map[string]checklist.Line{}}
	for i, s := range steps {
		steps[i].Check = func(context.Context) checklist.Line { return b.finds[s.ID] }
		if s.Act != nil {
			steps[i].Act = func(context.Context, checklist.Line) checklist.Line {
				b.acted = append(b.acted, s.ID)
				return b.acts[s.ID]
			}
		}
	}
	b.list = &bringup.Checklist{
		Steps: steps, Record: r, Now: func() time.Time { return now },
		Show: func(e bringup.Entry) { b.shown = append(b.shown, e) },
		Save: func() error {
			if b.saves++; b.saves == b.fail {
				return errDisk
			}
			text, err := bringup.Encode(r)
			b.disk = text
			return err
		},
	}
	return b
}

var errDisk = errors.New("the disk is full")

func acts(context.Context, checklist.Line) checklist.Line { return checklist.Line{} } // replaced by newBench

func (b *bench) run(t *testing.T) int {
	t.Helper()
	passed, err := b.list.Run(t.Context())
	require.NoError(t, err)
	return passed
}

func (b *bench) result(t *testing.T, step string) checklist.Result {
	t.Helper()
	e, ok := b.list.Record.Entry(step)
	require.True(t, ok, step)
	return e.Result
}

func of(r checklist.Result) checklist.Line {
	return checklist.Line{Result: r, Detail: "found " + string(r)}
}

// TestAStep: what is found, what the operator says of it now or said before, and what becomes of it.
func TestAStep(t *testing.T) {
	const none = checklist.Unknown
	for name, c := range map[string]struct {
		step        bringup.Step
		found       checklist.Result
		before      checklist.Result
		state, skip string
		answer      string // at a terminal
		answerSkips bool
		want        checklist.Result
		detail      string
	}{
		"ok":              {found: checklist.OK, want: checklist.OK, detail: "found ok"},
		"warning":         {found: checklist.Warning, want: checklist.Warning, detail: "found warning"},
		"bad":             {found: checklist.Bad, want: checklist.Bad, detail: "found bad"},
		"waiting":         {found: checklist.Waiting, want: checklist.Waiting, detail: "found waiting"},
		"nobody can look": {found: none, want: checklist.Waiting, detail: "found "},
		"stated": {
			step: bringup.Step{Question: "?"}, found: none, state: " it is so ", want: checklist.Stated, detail: "it is so",
		},
		"stated, and bad": {
			step: bringup.Step{Question: "?"}, found: checklist.Bad, state: "x", want: checklist.Stated, detail: "x",
		},
		"stated, and seen": {
			step: bringup.Step{Question: "?"}, found: checklist.OK, state: "x", want: checklist.OK, detail: "found ok",
		},
		"stated where nobody asked": {
			found: checklist.Waiting, state: "x", want: checklist.Waiting, detail: "found waiting",
		},
		"an empty statement": {
			step: bringup.Step{Question: "?"}, found: none, state: "  ", want: checklist.Waiting, detail: "found ",
		},
		"skipped": {
			step: bringup.Step{Skip: "x"}, found: checklist.Waiting, skip: "no need", want: checklist.Skipped,
			detail: "no need (found: found waiting)",
		},
		"skipped what cannot be": {found: checklist.Bad, skip: "no need", want: checklist.Bad, detail: "found bad"},
		"skipped, and ok": {
			step: bringup.Step{Skip: "x"}, found: checklist.OK, skip: "no need", want: checklist.OK, detail: "found ok",
		},
		"stated before": {
			step: bringup.Step{Question: "?"}, found: none, before: checklist.Stated, want: checklist.Stated, detail: "before",
		},
		"stated before, and now": {
			step: bringup.Step{Question: "?"}, found: none, before: checklist.Stated, state: "now", want: checklist.Stated,
			detail: "now",
		},
		"skipped before": {
			step: bringup.Step{Skip: "x"}, found: checklist.Waiting, before: checklist.Skipped, want: checklist.Skipped,
			detail: "before",
		},
		"stated before, seen now": {
			step: bringup.Step{Question: "?"}, found: checklist.OK, before: checklist.Stated, want: checklist.OK,
			detail: "found ok",
		},
		"ok before": {found: none, before: checklist.OK, want: checklist.Waiting, detail: "found "},
		"ok before, and lasting": {
			step: bringup.Step{Lasting: true}, found: none, before: checklist.OK, want: checklist.OK, detail: "before",
		},
		"ok before, lasting, bad now": {
			step: bringup.Step{Lasting: true}, found: checklist.Bad, before: checklist.OK, want: checklist.Bad,
			detail: "found bad",
		},
		"bad before, lasting": {
			step: bringup.Step{Lasting: true}, found: none, before: checklist.Bad, want: checklist.Waiting, detail: "found ",
		},
		"ok before, lasting, stated now": {
			step: bringup.Step{Lasting: true, Question: "?"}, found: none, before: checklist.OK, state: "now",
			want: checklist.Stated, detail: "now",
		},
		"answered": {
			step: bringup.Step{Question: "?"}, found: none, answer: "yes, today", want: checklist.Stated, detail: "yes, today",
		},
		"answered what only waits": {
			step: bringup.Step{Question: "?"}, found: checklist.Waiting, answer: "yes", want: checklist.Stated, detail: "yes",
		},
		"not asked what is bad": {
			step: bringup.Step{Question: "?"}, found: checklist.Bad, answer: "yes", want: checklist.Bad, detail: "found bad",
		},
		"not asked without a question": {
			step: bringup.Step{Skip: "x"}, found: checklist.Waiting, answer: "yes", want: checklist.Waiting,
			detail: "found waiting",
		},
		"no answer": {
			step: bringup.Step{Question: "?"}, found: none, answer: " ", want: checklist.Waiting, detail: "found ",
		},
		"answered by skipping": {
			step: bringup.Step{Question: "?", Skip: "x"}, found: none, answer: "none here", answerSkips: true,
			want: checklist.Skipped, detail: "none here (found: found )",
		},
		"answered by skipping what cannot": {
			step: bringup.Step{Question: "?"}, found: none, answer: "none", answerSkips: true, want: checklist.Waiting,
			detail: "found ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.step.ID = "step"
			r := bringup.New("NetX", now)
			if c.before != none {
				r.Put(bringup.Entry{Step: "step", Result: c.before, Detail: "before", At: now.Add(-time.Hour)})
			}
			b := newBench(t, r, c.step)
			b.finds["step"] = of(c.found)
			b.list.Operator = bringup.Operator{
				State: map[string]string{"step": c.state}, Skip: map[string]string{"step": c.skip},
			}
			if c.answer != "" {
				b.list.Operator.Ask = func(bringup.Step, checklist.Line) (string, bool) { return c.answer, c.answerSkips }
			}
			passed := b.run(t)
			e, _ := r.Entry("step")
			require.Equal(t, c.want, e.Result)
			require.Equal(t, c.detail, e.Detail)
			require.Equal(t, c.want.Passed(), passed == 1)
			require.Equal(t, []bringup.Entry{e}, b.shown)
		})
	}
}

// TestOrder: a step is not looked at, and nothing is done or asked, before those that come before it have passed.
func TestOrder(t *testing.T) {
	r := bringup.New("NetX", now)
	b := newBench(t, r, bringup.Step{ID: "a"},
		bringup.Step{ID: "b", After: []string{"a"}, Act: acts, Always: true, Question: "?"},
		bringup.Step{ID: "c", After: []string{"b"}})
	b.list.Operator.Ask = func(bringup.Step, checklist.Line) (string, bool) { t.Fatal("asked"); return "", false }
	b.finds["a"], b.finds["b"], b.finds["c"] = of(checklist.Bad), of(checklist.OK), of(checklist.OK)
	require.Zero(t, b.run(t))
	require.Empty(t, b.acted)
	e, _ := r.Entry("b")
	require.Equal(t, "after: a", e.Detail)
	require.Equal(t, checklist.Waiting, b.result(t, "c"))
	require.Len(t, b.list.Missing(), 3)

	b.list.Operator.Ask = nil
	b.finds["a"], b.acts["b"] = of(checklist.Warning), of(checklist.OK)
	require.Equal(t, 3, b.run(t))
	require.Equal(t, []string{"b"}, b.acted)
	require.Empty(t, b.list.Missing())

	// What fails again takes those behind it along.
	b.finds["a"] = of(checklist.Bad)
	require.Zero(t, b.run(t))
	require.Equal(t, checklist.Waiting, b.result(t, "c"))
}

// TestAct: it is done what is missing, once, and what it came to counts; what passed is left alone.
func TestAct(t *testing.T) {
	b := newBench(t, bringup.New("NetX", now), bringup.Step{ID: "a", Act: acts})
	b.finds["a"], b.acts["a"] = of(checklist.OK), of(checklist.Bad)
	require.Equal(t, 1, b.run(t))
	require.Empty(t, b.acted)
	b.finds["a"], b.acts["a"] = of(checklist.Waiting), of(checklist.OK)
	require.Equal(t, 1, b.run(t))
	require.Equal(t, []string{"a"}, b.acted)
	b.acts["a"] = of(checklist.Bad)
	require.Zero(t, b.run(t))
	require.Equal(t, checklist.Bad, b.result(t, "a"))
}

// TestItGoesOnWhereItWas: killed after each of its writes, or in it, it comes to the same end, and what was stated is
// not asked again.
func TestItGoesOnWhereItWas(t *testing.T) {
	steps := func() []bringup.Step {
		return []bringup.Step{
			{ID: "a"},
			{ID: "b", Question: "?"},
			{ID: "c", After: []string{"b"}, Skip: "x"},
			{ID: "d", Lasting: true},
			{ID: "e", Act: acts},
		}
	}
	start := func(r *bringup.Record) *bench {
		b := newBench(t, r, steps()...)
		b.finds["a"], b.finds["c"], b.finds["d"], b.acts["e"] = of(checklist.OK), of(checklist.Waiting), of(checklist.OK),
			of(checklist.OK)
		return b
	}
	whole := start(bringup.New("NetX", now))
	whole.list.Operator.State, whole.list.Operator.Skip = map[string]string{"b": "said"}, map[string]string{"c": "no need"}
	require.Equal(t, 5, whole.run(t))
	reported := 0
	for i := 1; i <= whole.saves; i++ {
		r := bringup.New("NetX", now)
		first := start(r)
		first.list.Operator = whole.list.Operator
		first.fail = i
		_, err := first.list.Run(t.Context())
		require.ErrorIs(t, err, errDisk)
		require.Len(t, first.shown, i-1, "nothing is shown that is not kept")
		reported++
		again := bringup.New("NetX", now)
		if first.disk != nil {
			again, err = bringup.Parse(first.disk)
			require.NoError(t, err)
		}
		second := start(again)
		if i <= 3 { // what was not kept must be said again
			second.list.Operator = whole.list.Operator
		}
		require.Equal(t, 5, second.run(t))
		require.Equal(t, string(whole.disk), string(second.disk))
	}
	require.Equal(t, 5, reported)
}

// TestStopped: what was looked at under a context that ended is not a finding.
func TestStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := bringup.New("NetX", now)
	b := newBench(t, r, bringup.Step{ID: "a"}, bringup.Step{ID: "b"}, bringup.Step{ID: "c"})
	b.finds["a"], b.finds["c"] = of(checklist.OK), of(checklist.OK)
	b.list.Steps[1].Check = func(context.Context) checklist.Line { cancel(); return of(checklist.Bad) }
	passed, err := b.list.Run(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 1, passed)
	require.Len(t, r.Entries, 1)
}

// TestChanges: what passed and would not now; nothing is done, and the record stays.
func TestChanges(t *testing.T) {
	r := bringup.New("NetX", now)
	b := newBench(t, r, bringup.Step{ID: "a", Act: acts, Always: true}, bringup.Step{ID: "b", After: []string{"a"}},
		bringup.Step{ID: "c", Question: "?"}, bringup.Step{ID: "d"})
	b.finds["a"], b.acts["a"], b.finds["b"] = of(checklist.OK), of(checklist.OK), of(checklist.OK)
	b.list.Operator.State = map[string]string{"c": "said"}
	require.Equal(t, 3, b.run(t))
	b.acted = nil
	require.Empty(t, b.list.Changes(t.Context()))
	kept := string(b.disk)
	b.finds["a"], b.finds["b"], b.finds["c"], b.finds["d"] = of(checklist.Unknown), of(checklist.Bad), of(checklist.Bad),
		of(checklist.OK)
	changes := b.list.Changes(t.Context())
	require.Len(t, changes, 1, "what nobody can look at, what was stated, what was not done then")
	require.Equal(t, "b", changes[0].Now.Step)
	require.Equal(t, checklist.OK, changes[0].Then.Result)
	require.Equal(t, checklist.Bad, changes[0].Now.Result)
	require.Empty(t, b.acted)
	text, err := bringup.Encode(r)
	require.NoError(t, err)
	require.Equal(t, kept, string(text))
}

func TestUnnamed(t *testing.T) {
	b := newBench(t, bringup.New("NetX", now), bringup.Step{ID: "a", Question: "?"}, bringup.Step{ID: "b", Skip: "x"},
		bringup.Step{ID: "c"})
	for name, c := range map[string]struct {
		op   bringup.Operator
		want string
	}{
		"nothing":              {bringup.Operator{}, ""},
		"both":                 {bringup.Operator{State: map[string]string{"a": "x"}, Skip: map[string]string{"b": "x"}}, ""},
		"stated what is seen":  {bringup.Operator{State: map[string]string{"c": "x"}}, "c"},
		"skipped what is must": {bringup.Operator{Skip: map[string]string{"a": "x"}}, "a"},
		"no step":              {bringup.Operator{Skip: map[string]string{"z": "x"}}, "z"},
	} {
		b.list.Operator = c.op
		require.Equal(t, c.want, b.list.Unnamed(), name)
	}
}
