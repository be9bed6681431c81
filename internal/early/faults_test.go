package early

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/device"
)

// fault is a fault that is put into the world at every level for a while, and then mended.
type fault struct {
	of     Name
	setup  setup
	limits func(*Limits)  // may be nil
	begin  func(w *world) // once
	level  func(w *world) // at each level while the fault lasts
	mend   func(w *world)
	lasts  time.Duration
	within time.Duration // the warning begins within
	overIn time.Duration // the warning is over within, once mended
}

var (
	ledger  = setup{keys: 1, device: [2]time.Duration{300 * time.Millisecond, 500 * time.Millisecond}, lifetime: 90 * 24 * time.Hour}
	standby = setup{keys: 1, device: ledger.device, lifetime: ledger.lifetime, standby: true}
	nothing = func(*world) {}
)

// faults has a fault of each kind, in its mildest form that calls for a warning.
var faults = []fault{
	{
		of: SlowSignatures, setup: ledger, lasts: 10 * time.Minute, within: 5 * time.Minute, overIn: 6 * time.Minute,
		begin: func(w *world) { w.signs = func() time.Duration { return 1050 * time.Millisecond } },
		level: func(w *world) { w.watch.Signed("left", 2200*time.Millisecond) },
		mend:  func(w *world) { w.signs = func() time.Duration { return 300 * time.Millisecond } },
	},
	{
		of: SlowSync, setup: ledger, lasts: time.Minute, within: time.Minute, overIn: 11 * time.Minute, level: nothing,
		begin: func(w *world) { w.watch.Committed(2100 * time.Millisecond) }, mend: nothing,
	},
	{
		of: TimeUsedUp, setup: ledger, lasts: time.Minute, within: 2 * time.Minute, overIn: 31 * time.Minute, begin: nothing,
		level: func(w *world) { w.watch.UsedUp(w.level) }, mend: nothing,
	},
	{
		of: Reconnects, setup: ledger, lasts: 16 * time.Minute, within: 16 * time.Minute, overIn: 61 * time.Minute,
		begin: func(w *world) {
			for n := range 3 {
				time.AfterFunc(time.Duration(n)*5*time.Minute, func() { w.blink() })
			}
		},
		level: nothing, mend: nothing,
	},
	{
		of: DeviceHeld, setup: ledger, lasts: 5 * time.Minute, within: 2 * time.Minute, overIn: 2 * time.Minute,
		begin: func(w *world) {
			w.health.Health, w.health.Since, w.holders = device.Absent, time.Now(), []string{"octez-signer (pid 812)"}
		},
		level: nothing, mend: func(w *world) { w.health.Health, w.health.Since, w.holders = device.Ready, time.Now(), nil },
	},
	{
		of: CertificateEnds, setup: ledger, lasts: time.Minute, within: time.Minute, overIn: time.Minute, level: nothing,
		begin: func(w *world) { w.ends = time.Now().Add(14*24*time.Hour - time.Second) },
		mend:  func(w *world) { w.ends = time.Now().Add(90 * 24 * time.Hour) },
	},
	{
		of: CertificateNow, setup: ledger, lasts: time.Minute, within: time.Minute, overIn: time.Minute, level: nothing,
		begin: func(w *world) { w.ends = time.Now().Add(2*24*time.Hour - time.Second) },
		mend:  func(w *world) { w.ends = time.Now().Add(90 * 24 * time.Hour) },
	},
	{
		of: MarksAhead, setup: standby, lasts: 5 * time.Minute, within: 2 * time.Minute, overIn: 2 * time.Minute, level: nothing,
		begin: func(w *world) { w.lead = 22 }, mend: func(w *world) { w.lead = 0 },
	},
	{
		of: NodeSilent, setup: ledger, lasts: 12 * time.Minute, within: 11 * time.Minute, overIn: 2 * time.Minute, level: nothing,
		limits: func(l *Limits) { l.MissedRights, l.SilentRights = 0, 0 }, // these come along rightly
		begin:  func(w *world) { w.silent = time.Now().Add(12 * time.Minute) }, mend: nothing,
	},
	{
		of: NotFollowing, setup: standby, lasts: 5 * time.Minute, within: 3 * time.Minute, overIn: 2 * time.Minute, level: nothing,
		begin: func(w *world) { w.follow.Connected = false }, mend: func(w *world) { w.follow.Connected = true },
	},
	{
		of: NotFollowing, setup: standby, lasts: 5 * time.Minute, within: 3 * time.Minute, overIn: 2 * time.Minute, level: nothing,
		begin: func(w *world) { w.follow.Behind = 6 }, mend: func(w *world) { w.follow.Behind = 5 },
	},
	{
		of: RegisterSilent, setup: ledger, lasts: time.Minute, within: 20 * time.Second, overIn: 2 * time.Minute, level: nothing,
		begin: func(w *world) { w.mute = time.Now() }, mend: func(w *world) { w.mute = time.Time{} },
	},
	{
		of: AuditUnwritten, setup: ledger, lasts: 5 * time.Minute, within: 2 * time.Minute, overIn: 2 * time.Minute, level: nothing,
		begin: func(w *world) { w.audit = "no space left on device" }, mend: func(w *world) { w.audit = "" },
	},
}

// faultsOfRights are the faults of rights.
var faultsOfRights = []fault{
	{
		of: BakerSilent, setup: ledger, lasts: 3 * time.Minute, within: 3 * time.Minute, overIn: 2 * time.Minute, level: nothing,
		limits: func(l *Limits) { l.MissedRights = 0 }, // these come along rightly
		begin:  func(w *world) { w.quiet = true }, mend: func(w *world) { w.quiet = false },
	},
	{
		of: RightsMissed, setup: ledger, lasts: 3 * time.Minute, within: 3 * time.Minute, overIn: 62 * time.Minute, level: nothing,
		begin: func(w *world) { w.lost = true }, mend: func(w *world) { w.lost = false },
	},
	{ // one block
		of: RightsMissed, setup: ledger, lasts: 2 * time.Minute, within: 2 * time.Minute, overIn: 62 * time.Minute, level: nothing,
		begin: func(w *world) {
			w.rights = append(w.rights, Settled{Key: "tz1…", Level: w.level, Block: true, Missed: true, Ours: true, Asked: true})
		},
		mend: nothing,
	},
	{
		of: KeyUnheld, setup: standby, lasts: 5 * time.Minute, within: 3 * time.Minute, overIn: 2 * time.Minute, level: nothing,
		begin: func(w *world) {
			w.unheld = []Unheld{{"tz1…", "device left is absent", "plug it in"}, {"tz2…", "a key without rights", "none"}}
		},
		mend: func(w *world) { w.unheld = nil },
	},
}

// TestRightsOfAnotherTime: rights from before this instance signed are no fault of its baker.
func TestRightsOfAnotherTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, standby)
		w.start()
		defer func() { w.stop() }()
		w.lost = true
		w.until(time.Hour, nothing)
		require.Empty(t, w.watch.Standing())
	})
}

// TestRightsOnChainAreNotSilent: the node of this machine was away for an hour, and the baker has its own node. The
// memory of requests ends before the levels that become final at once.
func TestRightsOnChainAreNotSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, ledger)
		w.start()
		defer func() { w.stop() }()
		w.until(time.Minute, func(w *world) {
			for range 16 {
				w.rights = append(w.rights, Settled{Key: "tz2…", Level: w.level, Ours: true})
			}
		})
		w.until(3*time.Minute, nothing)
		require.Empty(t, w.watch.Standing())
	})
}

// TestASleepOfTheMachineIsNoSilentNode: after the machine slept, or a step of its clock, the newest head is old until the
// next head.
func TestASleepOfTheMachineIsNoSilentNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, ledger)
		w.start()
		defer func() { w.stop() }()
		w.until(time.Minute, nothing)
		for range 3 {
			w.set(func() { w.head.At = w.head.At.Add(-2 * time.Hour) })
			<-time.After(lookEvery + time.Second)
			w.until(time.Minute, nothing)
		}
		w.stop()
		require.Empty(t, w.began)
	})
}

// blink has the device away for less than the interval between two looks.
func (w *world) blink() {
	w.set(func() { w.health.Since = time.Now() })
}

// TestEachFaultIsSaid: each warning begins in time, stands with advice, is the only one, is over in time, and is told
// once each way.
func TestEachFaultIsSaid(t *testing.T) {
	var covered []Name
	for _, f := range append(slices.Clone(faults), faultsOfRights...) {
		covered = append(covered, f.of)
		t.Run(string(f.of), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, f.test)
		})
	}
	for _, name := range Names {
		require.Contains(t, covered, name)
	}
}

func (f fault) test(t *testing.T) {
	w := newWorld(t, f.setup)
	if f.limits != nil {
		f.limits(&w.limits)
	}
	w.start()
	defer func() { w.stop() }()
	w.until(5*time.Minute, nothing)
	require.Empty(t, w.watch.Standing())

	broke := time.Now()
	w.set(func() { f.begin(w) })
	w.until(f.lasts, f.level)
	standing := w.watch.Standing()
	require.Len(t, standing, 1)
	require.Equal(t, f.of, standing[0].Name)
	require.NotEmpty(t, standing[0].Text)
	require.NotEmpty(t, standing[0].Hint)
	require.NotContains(t, standing[0].Text, "%!")
	require.Less(t, standing[0].Since.Sub(broke), f.within)

	w.set(func() { f.mend(w) })
	w.until(f.overIn, nothing)
	require.Empty(t, w.watch.Standing())
	w.stop()
	require.Len(t, w.began, 1)
	require.Len(t, w.over, 1)
	require.Equal(t, f.of, w.over[0].Name)
}

// until lives through the levels of a time.
func (w *world) until(span time.Duration, each func(*world)) {
	for end := time.Now().Add(span); time.Now().Before(end); {
		w.oneLevel()
		w.set(func() { each(w) })
	}
}

// TestZeroIsOff: a limit of zero turns its warning off, and no other.
func TestZeroIsOff(t *testing.T) {
	for _, off := range []struct {
		name   Name
		limits func(*Limits)
	}{
		{SlowSignatures, func(l *Limits) { l.SlowSignature = 0 }},
		{SlowSync, func(l *Limits) { l.SlowSync = 0 }},
		{TimeUsedUp, func(l *Limits) { l.TimeUsedUp = 0 }},
		{Reconnects, func(l *Limits) { l.Reconnects = 0 }},
		{MarksAhead, func(l *Limits) { l.MarksAhead = 0 }},
		{BakerSilent, func(l *Limits) { l.SilentRights, l.MissedRights = 0, 0 }},
		{RightsMissed, func(l *Limits) { l.MissedRights = 0 }},
	} {
		all := append(slices.Clone(faults), faultsOfRights...)
		f := all[slices.IndexFunc(all, func(f fault) bool { return f.of == off.name })]
		t.Run(string(off.name), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, f.setup)
				w.limits = Defaults
				off.limits(&w.limits)
				w.start()
				w.set(func() { f.begin(w) })
				w.until(f.lasts, f.level)
				w.stop()
				require.Empty(t, w.began)
			})
		})
	}
}

// TestNothingWaits: with nobody at the queue, every word is taken at once.
func TestNothingWaits(t *testing.T) {
	w := New(Defaults, nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range queued + 7 {
			w.Signed("left", time.Second)
			w.UsedUp(1)
			w.Committed(time.Hour)
		}
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("a word to the watch waits")
	}
}
