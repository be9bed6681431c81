package signer_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/signer"
)

// An alarm that nobody saw is there after a restart, and is the same alarm; one that was acknowledged stays away.
func TestAlarmsOutliveTheProcess(t *testing.T) {
	var told []string
	r := newRig(t, tezos.Ed25519, func(c *signer.Config) {
		c.Alarmed = func(a signer.Alarm) { told = append(told, a.Text) }
	})
	raise := func(text string) { r.s.RaiseAlarm(signer.AlarmTwin, "chain", r.pkh().String(), text, "look there") }
	raise("first")
	raise("first")
	r.s.RaiseAlarm(signer.AlarmBothActive, "the other instance", "", "second", "look there too")
	before := r.s.Alarms()
	require.Len(t, before, 2)
	require.Equal(t, "look there", before[0].Hint)

	r.restart()
	require.Equal(t, before, r.s.Alarms())
	raise("first")
	require.Equal(t, before, r.s.Alarms(), "it stands already")
	require.Equal(t, []string{"first", "second"}, told, "each once")

	require.Len(t, r.s.Acknowledge(before[0].ID), 1)
	r.restart()
	require.Equal(t, before[1:], r.s.Alarms())
	raise("first")
	again := r.s.Alarms()
	require.Len(t, again, 2)
	require.Greater(t, again[1].ID, before[1].ID, "an operator who was shown the old ones has not seen it")
	require.Equal(t, []string{"first", "second", "first"}, told)
}

// What cannot be kept is shown, and told, all the same; and what is much too long is cut.
func TestAnAlarmThatCannotBeKept(t *testing.T) {
	told := 0
	r := newRig(t, tezos.Ed25519, func(c *signer.Config) {
		c.Store = unkept{c.Store}
		c.Alarmed = func(signer.Alarm) { told++ }
	})
	r.s.RaiseAlarm(signer.AlarmTwin, "chain", "", strings.Repeat("long ", 1000), "h")
	require.Len(t, r.s.Alarms(), 1)
	require.Len(t, r.s.Alarms()[0].Text, hwm.MaxAlarmText)
	require.Equal(t, 1, told)
	r.s.RaiseAlarm(signer.AlarmTwin, "chain", "", strings.Repeat("long ", 1000), "h")
	require.Equal(t, 1, told, "it is the same one")
	require.Empty(t, r.s.Acknowledge(r.s.Alarms()[0].ID))
	r.mustSign(r.payload(tezos.Attestation, 100, 0, 1))
}

type unkept struct{ signer.Store }

func (unkept) SetAlarms([]hwm.Alarm) error { return errInjected }

// Whoever wrote last wrote what stands.
func TestAlarmsFromEverywhereAtOnce(t *testing.T) {
	r := newRig(t, tezos.Ed25519)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 4 {
				r.s.RaiseAlarm(signer.AlarmBackwards, "device "+string(rune('a'+i)), "", "fell "+string(rune('0'+n)), "h")
			}
		})
	}
	all.Wait()
	stand := r.s.Alarms()
	require.Len(t, stand, 8)
	r.restart()
	require.Equal(t, stand, r.s.Alarms())
}
