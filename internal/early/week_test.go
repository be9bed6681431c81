package early

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bakers are the kinds of bakers whose week must be quiet.
var bakers = []setup{
	{name: "Nano S with one key", keys: 1, device: [2]time.Duration{850 * time.Millisecond, 950 * time.Millisecond}},
	{name: "Nano S Plus with two keys", keys: 2, device: [2]time.Duration{230 * time.Millisecond, 600 * time.Millisecond}},
	{name: "TezSign with ten keys", keys: 10, device: [2]time.Duration{20 * time.Millisecond, 90 * time.Millisecond}},
	{name: "standby", keys: 2, device: [2]time.Duration{time.Millisecond, time.Millisecond}, standby: true},
}

// TestAWeekIsQuiet: a week with the events of each week, and no false warning: a restart of the node costs rights, and
// nothing else is worth a word. Each day the device resets, a member of the
// register is restarted, and the link breaks; twice a week the node restarts, and once the daemon is upgraded.
// Certificates of a day and of 90 days are renewed in time.
func TestAWeekIsQuiet(t *testing.T) {
	for i, s := range bakers {
		s.lifetime = 90 * 24 * time.Hour
		if i%2 == 1 {
			s.lifetime = 24 * time.Hour
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, s)
				w.ends = w.begin.Add(s.lifetime / 2)
				w.start()
				defer func() { w.stop() }()
				levels, events := 0, w.week()
				for time.Since(w.begin) < days*24*time.Hour {
					for len(events) > 0 && time.Since(w.begin) >= events[0].at {
						events[0].do()
						events = events[1:]
					}
					w.oneLevel()
					if levels++; time.Until(w.ends) < s.lifetime/3 {
						w.set(func() { w.ends = time.Now().Add(s.lifetime) })
					}
				}
				w.stop()
				synctest.Wait()
				for _, warning := range w.began {
					require.True(t, w.isTrue(warning), warning)
				}
				require.Empty(t, events, "the week was too short for its events")
				require.Greater(t, levels, days*12_800)
			})
		})
	}
}

// isTrue tells that a warning tells of rights that a restart of the node did cost.
func (w *world) isTrue(warning Warning) bool {
	return warning.Name == RightsMissed && !w.setup.standby && slices.ContainsFunc(w.outages, func(end time.Time) bool {
		return warning.Since.After(end.Add(-blockTime)) && warning.Since.Before(end.Add(2*time.Minute))
	})
}

type happening struct {
	at time.Duration
	do func()
}

// week is the calendar.
func (w *world) week() (events []happening) {
	for day := range days {
		at := time.Duration(day) * 24 * time.Hour
		events = append(events,
			happening{at + 3*time.Hour, func() { w.reset(w.between(3*time.Second, 15*time.Second)) }},
			happening{at + 9*time.Hour, func() { w.hiccup(w.between(time.Second, 8*time.Second)) }},
		)
		switch day {
		case 2, 5:
			events = append(events, happening{at + 15*time.Hour, func() { w.restartNode(w.between(time.Minute, 4*time.Minute)) }})
		case 4:
			events = append(events, happening{at + 20*time.Hour, w.upgrade})
		}
	}
	return events
}
