package checklist_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/checklist"
	"highwater/internal/hints"
)

// TestWhatPasses: a result that nobody knows stands in the way.
func TestWhatPasses(t *testing.T) {
	for _, r := range checklist.Results {
		require.Equal(t, r != checklist.Waiting && r != checklist.Bad, r.Passed(), r)
	}
	for _, r := range []checklist.Result{checklist.Unknown, "fine"} {
		require.False(t, r.Passed(), r)
	}
}

// TestTheFirstThatStands: in the way, and not the worst.
func TestTheFirstThatStands(t *testing.T) {
	lines := []checklist.Line{
		checklist.Good(checklist.Node, "at level %d", 7),
		checklist.New(checklist.Clocks, checklist.Warning, "they differ", ""),
		checklist.New(checklist.Silence, checklist.Waiting, "1 of 3", "wait"),
		checklist.Failed(checklist.Marks, errors.New("no")),
	}
	require.Equal(t, &lines[2], checklist.Stands(lines))
	require.Nil(t, checklist.Stands(lines[:2]))
	require.Nil(t, checklist.Stands(nil))
	l, ok := checklist.Find(lines, checklist.Marks)
	require.True(t, ok)
	require.Equal(t, "no", l.Detail)
	_, ok = checklist.Find(lines, checklist.Keys)
	require.False(t, ok)
}

// TestWhatMayPass: only what stands in the way.
func TestWhatMayPass(t *testing.T) {
	require.True(t, checklist.New(checklist.Silence, checklist.Waiting, "", "").Passing().MayPass)
	require.False(t, checklist.Good(checklist.Silence, "").Passing().MayPass)
	require.Equal(t, checklist.Waiting, checklist.Failed(checklist.Node, errors.New("no")).OrWait().Result)
	require.Equal(t, checklist.Warning, checklist.New(checklist.Node, checklist.Warning, "", "").OrWait().Result)
}

// TestTheFormOfALine: what programs read, and what an earlier release wrote.
func TestTheFormOfALine(t *testing.T) {
	l := checklist.Failed(checklist.Device, hints.Add(errors.New("absent"), "connect it")).Named("device left").Passing()
	text, err := json.Marshal(l)
	require.NoError(t, err)
	require.JSONEq(t, `{"id":"device","name":"device left","result":"bad","detail":"absent","hint":"connect it","may_pass":true}`, string(text))
	var old checklist.Line
	require.NoError(t, json.Unmarshal([]byte(`{"name":"disk","result":"ok","detail":"1 ms"}`), &old))
	text, err = json.Marshal(old)
	require.NoError(t, err)
	require.Equal(t, `{"name":"disk","result":"ok","detail":"1 ms"}`, string(text))
}
