package bringup_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/bringup"
	"highwater/internal/checklist"
)

func number(f float64) *float64 { return &f }

func example() *bringup.Record {
	r := bringup.New("NetXdQprcVkpaWU", now)
	r.Instance = "ea4a6c63"
	r.Put(bringup.Entry{Step: "store", Result: checklist.OK, Detail: "marks.db <&> é", At: now})
	r.Put(bringup.Entry{Step: "node", Result: checklist.Waiting, Detail: "it catches up", Hint: "wait", At: now})
	r.AddDrill(bringup.Drill{
		At: now, Result: checklist.OK,
		Lines: []checklist.Line{{Name: "disk", Result: checklist.OK, Detail: "1 ms"}}, MaySign: "nobody",
	})
	r.AddDrill(bringup.Drill{
		At: now, Handover: true, Result: checklist.Warning, ThereMS: number(6.25), BackMS: number(0), Levels: []int32{7, 8},
		Missed: []int32{},
		Lines:  []checklist.Line{}, MaySign: "the other instance",
	})
	r.Begin(now)
	return r
}

func encoded(t testing.TB, r *bringup.Record) []byte {
	t.Helper()
	text, err := bringup.Encode(r)
	require.NoError(t, err)
	return text
}

func TestRecordRoundTrip(t *testing.T) {
	want := example()
	got, err := bringup.Parse(encoded(t, want))
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, time.Date(2026, 5, 4, 2, 2, 1, 0, time.UTC), *got.UnderWay)
	require.NotNil(t, got.Drills[1].Missed, "none is another thing than not known")
	require.Nil(t, got.Drills[0].Missed)
	got.End()
	require.Nil(t, got.UnderWay)
}

// TestPut: one entry a step, in the place where it was first.
func TestPut(t *testing.T) {
	r := example()
	r.Put(bringup.Entry{Step: "store", Result: checklist.Bad, At: now.Add(time.Hour)})
	require.Len(t, r.Entries, 2)
	require.Equal(t, checklist.Bad, r.Entries[0].Result)
	require.Equal(t, r.Entries[0].At, r.Updated)
	_, ok := r.Entry("nothing")
	require.False(t, ok)
}

// TestDrillsThatAreKept: real ones for long, of those in a row that only looked the newest.
func TestDrillsThatAreKept(t *testing.T) {
	r := bringup.New("NetX", now)
	for i := range 100 {
		r.AddDrill(bringup.Drill{At: now.Add(time.Duration(i) * time.Second), Handover: i%10 == 0, Result: checklist.OK})
	}
	require.Len(t, r.Drills, 20)
	require.True(t, r.Drills[0].Handover)
	require.False(t, r.Drills[19].Handover)
	require.Equal(t, now.UTC().Truncate(time.Second).Add(99*time.Second), r.Drills[19].At)
	encoded(t, r)
	for range 100 {
		r.AddDrill(bringup.Drill{At: now, Handover: true, Result: checklist.OK})
	}
	require.Len(t, r.Drills, 20)
}

// TestWhatIsTooLongIsCut: a record that is made of whatever errors say can always be kept.
func TestWhatIsTooLongIsCut(t *testing.T) {
	r := bringup.New("NetX", now)
	long := strings.Repeat("é\"", 5000)
	lines := make([]checklist.Line, 500)
	for i := range lines {
		lines[i] = checklist.Line{Name: "a\x1b[1m", Result: checklist.OK, Detail: long, Hint: long}
	}
	for range 30 {
		r.AddDrill(bringup.Drill{
			At: now, Handover: true, Result: checklist.OK, Lines: lines, Levels: make([]int32, 5000),
			MaySign: long,
		})
	}
	for i := range 64 {
		r.Put(bringup.Entry{Step: strings.Repeat("a", i+1), Result: checklist.OK, Detail: long, Hint: "\xff", At: now})
	}
	got, err := bringup.Parse(encoded(t, r))
	require.NoError(t, err)
	require.Equal(t, r, got)
	require.True(t, strings.HasSuffix(got.Entries[0].Detail, "…"))
	require.Equal(t, "?", got.Entries[0].Hint)
	require.Len(t, got.Drills[0].Lines, 40)
	require.Equal(t, "a [1m", got.Drills[0].Lines[0].Name)
}

func TestRefusedRecords(t *testing.T) {
	good := string(encoded(t, example()))
	replace := func(old, next string) string {
		require.Contains(t, good, old)
		return strings.Replace(good, old, next, 1)
	}
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"nothing":            {"", bringup.ErrContent},
		"zeroes":             {strings.Repeat("\x00", 100), bringup.ErrContent},
		"half of it":         {good[:len(good)/2], bringup.ErrContent},
		"null":               {"null", bringup.ErrVersion},
		"a later version":    {replace(`"version": 1`, `"version": 2`), bringup.ErrVersion},
		"something after it": {good + "x", bringup.ErrContent},
		"too long":           {good + strings.Repeat(" ", bringup.MaxSize), bringup.ErrContent},
		"an unknown member":  {replace(`"chain"`, `"chian"`), bringup.ErrContent},
		"an unknown result":  {replace(`"result": "ok"`, `"result": "fine"`), bringup.ErrContent},
		"no result":          {replace(`"result": "ok"`, `"result": ""`), bringup.ErrContent},
		"a step twice":       {replace(`"step": "node"`, `"step": "store"`), bringup.ErrContent},
		"no name":            {replace(`"step": "node"`, `"step": ""`), bringup.ErrContent},
		"a negative time":    {replace(`6.25`, `-6.25`), bringup.ErrContent},
		"another time zone":  {replace("2026-05-04T02:02:01Z", "2026-05-04T03:02:01+01:00"), bringup.ErrContent},
		"a missing list":     {replace(`"lines": []`, `"lines": null`), bringup.ErrContent},
	} {
		r, err := bringup.Parse([]byte(c.text))
		require.ErrorIs(t, err, c.want, name)
		require.Nil(t, r, name)
	}
}

// TestEncodeRefuses what Parse would.
func TestEncodeRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*bringup.Record){
		"no version":   func(r *bringup.Record) { r.Version = 0 },
		"no lists":     func(r *bringup.Record) { r.Entries = nil },
		"no result":    func(r *bringup.Record) { r.Entries[0].Result = "" },
		"a far year":   func(r *bringup.Record) { r.Updated = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"not a number": func(r *bringup.Record) { r.Drills[1].ThereMS = number(math.NaN()) },
		"local time":   func(r *bringup.Record) { r.Started = now },
		"too many":     func(r *bringup.Record) { r.Drills = make([]bringup.Drill, 21) },
	} {
		r := example()
		spoil(r)
		_, err := bringup.Encode(r)
		require.ErrorIs(t, err, bringup.ErrContent, name)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(encoded(f, example()))
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := bringup.Parse(data)
		if err != nil {
			require.Nil(t, r)
			return
		}
		require.Equal(t, string(data), string(encoded(t, r)))
	})
}
