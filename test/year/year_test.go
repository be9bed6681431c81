// Package year simulates a year of a baker on a clock of its own, and counts the lost signatures by their cause.
package year

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/certs/certstest"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
	"highwater/signer/signertest"
)

const (
	blockTime  = 6 * time.Second
	firstLevel = 1_000_000
	// window is when an operator's `highwater wait-window` lets a planned act begin: the attestation is out, and the next
	// level is not here.
	window = 3500 * time.Millisecond
)

// fromEnvironment reads a number that `make year` gives.
func fromEnvironment(t *testing.T, name string, otherwise uint64) uint64 {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 32)
	require.NoError(t, err, "%s is no number", name)
	return n
}

// TestYear runs the same calendar with two levels ahead, and with none as every earlier version has.
func TestYear(t *testing.T) {
	hours, seed := fromEnvironment(t, "HIGHWATER_HOURS", 8), fromEnvironment(t, "HIGHWATER_SEED", 1)
	span := time.Duration(hours) * time.Hour
	today := time.Now()
	with, without := &result{}, &result{}
	t.Run("lives", func(t *testing.T) {
		for ahead, out := range map[int32]*result{2: with, 0: without} {
			t.Run(fmt.Sprintf("ahead=%d", ahead), func(t *testing.T) {
				t.Parallel()
				root := memoryDir(t)
				synctest.Test(t, func(t *testing.T) {
					<-time.After(time.Until(today)) // the real files are no younger than the year
					*out = *live(t, root, ahead, seed, span)
				})
			})
		}
	})
	t.Logf("%d hours, seed %d: %d levels, %d rights\n%s", hours, seed, with.levels, with.rights, table(with, without))

	require.Zero(t, with.lost[theSigner], "a signature was lost with no fault around")
	require.Zero(t, with.lost[diskStall], "a disk that stalls for less than two levels costs nothing")
	require.Zero(t, with.lost[upgrade]+with.lost[handover], "an act in its window costs nothing")
	require.Zero(t, with.lost[renewal], "no renewal costs a signature, and no broken certificate either")
	require.LessOrEqual(t, with.lost[levelsAhead], 2*with.cuts*3,
		"a power cut costs the levels ahead at most: three requests each")
	if without.levels > 0 { // else a part of the test was asked for
		require.Positive(t, without.lost[diskStall], "the stalls are none that can be felt")
	}
	require.Positive(t, with.lost[nodeRestart], "the calendar is empty")
	if span >= 24*time.Hour {
		require.Positive(t, with.lost[otherBytes], "no reorganisation asked for other bytes")
	}
}

// memoryDir is a directory in memory where there is one: a million commits wait for no real disk.
func memoryDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "highwater-year-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// result is what was lost.
type result struct {
	levels, rights, cuts int
	lost                 map[fault]int
	levelsLost           map[fault]map[int32]bool // attestations
}

func table(with, without *result) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(columns ...any) { _, _ = fmt.Fprintln(w, strings.TrimSuffix(fmt.Sprintln(columns...), "\n")) }
	row("lost requests, by cause\tahead = 2\tahead = 0\tattestations, ahead = 2\tahead = 0")
	for _, f := range []fault{
		nodeRestart, deviceReset, diskStall, longStall, bareStall, upgrade, handover, renewal, badStart, deadDisk, powerCut,
		levelsAhead, otherBytes, theSigner,
	} {
		row(fmt.Sprintf("%s\t%d\t%d\t%d\t%d", f, with.lost[f], without.lost[f],
			len(with.levelsLost[f]), len(without.levelsLost[f])))
	}
	_ = w.Flush()
	return b.String()
}

// life is a baker's machines while the calendar goes by.
type life struct {
	t      *testing.T
	begin  time.Time
	chain  *chain
	key    *softkey.Key
	judge  judge
	result *result

	doors          []*door       // of both machines
	certificates   time.Duration // the life of one
	current, other *machine      // current is nil while nothing can be asked
	epoch          uint64
	silent         time.Time // the node is back at this time
	down           fault     // why current is nil
	back           time.Time // when the machine comes back
	comes          func()    // how
	away, stalled  time.Time // the ends of the last reset and of the last stall
	stallBegan     time.Time // with the stalls that ended without a pause
	bare           time.Time // the end of the last gap without signatures: no level was made durable ahead meanwhile
	floor          int32     // no level at or below is signed any more …
	floorOf        fault     // … because of this
	lives          int       // grows with each cut: an answer of an earlier life reached nobody

	mu    sync.Mutex // of result and judge
	tasks sync.WaitGroup
}

func live(t *testing.T, root string, ahead int32, seed uint64, span time.Duration) *result {
	l := &life{
		t: t, begin: time.Now(), bare: time.Now(), chain: newChain(seed), key: signertest.NewKey(t, tezos.Ed25519, 1),
		epoch:  1,
		result: &result{lost: map[fault]int{}, levelsLost: map[fault]map[int32]bool{}},
	}
	l.certificates = certificateLife(span)
	authority := certstest.NewUntil(t, "authority", l.begin.Add(2*span))
	for _, name := range []string{"/one", "/two"} {
		l.doors = append(l.doors, newDoor(t, root+name+"/tls", authority, l.certificates))
	}
	l.current = newMachine(t, root+"/one", ahead, l.chain, l.key, l.doors[0])
	l.other = newMachine(t, root+"/two", ahead, l.chain, l.key, l.doors[1])
	l.current.own(l.current.signer.Floors(firstLevel-1, hwm.SourceSet), l.epoch)
	events := calendar(seed, span)
	for level := int32(firstLevel); time.Since(l.begin) < span; level++ {
		month := time.Since(l.begin) / (30 * 24 * time.Hour)
		events = l.level(level, events)
		if time.Since(l.begin)/(30*24*time.Hour) > month {
			l.progress(int(month)+1, ahead)
		}
	}
	l.tasks.Wait()
	if l.current != nil {
		l.current.stop()
	}
	l.other.stop()
	return l.result
}

// level lives through a level: its requests and the events of its time, each at its moment. The events that are still
// to come are left.
func (l *life) level(level int32, events []event) []event {
	l.chain.at(level)
	l.result.levels++
	start := time.Now()
	asks, length := l.chain.level(level)
	type moment struct {
		at time.Time
		do func()
	}
	var moments []moment
	var postponed []event
	for _, a := range asks {
		moments = append(moments, moment{start.Add(a.after), func() { l.ask(a, start) }})
	}
	for len(events) > 0 && l.begin.Add(events[0].at).Before(start.Add(length)) {
		e := events[0]
		events = events[1:]
		at := l.begin.Add(e.at)
		if e.what != upgrade && e.what != handover {
			moments = append(moments, moment{at, func() { l.happen(e) }})
			continue
		}
		moments = append(moments, moment{start.Add(length - blockTime + window), func() {
			if l.stalled.After(time.Now()) { // `highwater wait-window` waits until the attestation's mark is durable
				e.at = start.Add(length).Sub(l.begin)
				postponed = append(postponed, e)
				return
			}
			l.happen(e)
		}})
	}
	slices.SortStableFunc(moments, func(a, b moment) int { return a.at.Compare(b.at) })
	for _, m := range moments {
		l.until(m.at)
		m.do()
	}
	l.until(start.Add(length))
	return append(postponed, events...)
}

// until lets time go by. A machine that is down comes back at its time.
func (l *life) until(at time.Time) {
	if l.current == nil && !l.back.After(at) {
		<-time.After(time.Until(l.back))
		l.comes()
	}
	<-time.After(time.Until(at))
}

// ask is a request of the baker, in its own time.
func (l *life) ask(a ask, start time.Time) {
	l.mu.Lock()
	if !a.again {
		l.result.rights++
	}
	l.mu.Unlock()
	switch {
	case time.Now().Before(l.silent):
		l.lose(a, nodeRestart)
		return
	case l.current == nil:
		l.lose(a, l.down)
		return
	}
	if f, closed := l.closed(l.current.door); closed {
		l.lose(a, f)
		return
	}
	m, lives, asked := l.current, l.lives, time.Now()
	l.tasks.Go(func() {
		ctx, cancel := context.WithDeadline(context.Background(), start.Add(a.last))
		defer cancel()
		payload := a.step.Payload(tezos.Ed25519)
		_, err := m.signer.Sign(ctx, l.key.PublicKey().Hash(), payload)
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.lives != lives {
			l.loseNow(a, powerCut)
			return
		}
		if err == nil {
			l.judge.see(l.t, a, payload)
			return
		}
		l.loseNow(a, l.cause(a, asked, err))
	})
}

// cause finds the fault behind a lost signature. The caller holds l.mu.
func (l *life) cause(a ask, asked time.Time, err error) fault {
	var refusal *hwm.Refusal
	switch {
	case errors.As(err, &refusal) && a.again:
		return otherBytes
	case errors.As(err, &refusal) && a.step.Level <= l.floor:
		return l.floorOf
	case l.away.After(asked):
		return deviceReset
	case l.stalled.After(asked) && (asked.Sub(l.bare) < 2*blockTime || a.step.Level <= l.floor+2):
		return bareStall
	case l.stalled.After(asked) && l.stalled.Sub(l.stallBegan) > longestStall:
		return longStall
	case l.stalled.After(asked):
		return diskStall
	}
	l.t.Logf("level %d round %d %s: %v", a.step.Level, a.step.Round, a.step.Kind, err)
	return theSigner
}

func (l *life) lose(a ask, f fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loseNow(a, f)
}

func (l *life) loseNow(a ask, f fault) {
	if a.again && f != otherBytes && f != theSigner {
		return // nothing was lost: the chain has a single attestation of the level
	}
	l.result.lost[f]++
	if a.step.Kind == tezos.Attestation && !a.again {
		if l.result.levelsLost[f] == nil {
			l.result.levelsLost[f] = map[int32]bool{}
		}
		l.result.levelsLost[f][a.step.Level] = true
	}
}

// happen lets an event happen. What finds the machine down finds nothing.
func (l *life) happen(e event) {
	now := time.Now()
	switch e.what { //nolint:exhaustive // the rest finds a machine, or is below
	case nodeRestart:
		l.silent = now.Add(e.lasts)
		l.gapUntil(l.silent)
	case renewal, mended:
		l.renew(e.damage)
	}
	if l.current == nil {
		return
	}
	switch e.what { //nolint:exhaustive // the rest is above, and some causes are no events
	case deviceReset:
		l.mu.Lock()
		l.away = now.Add(e.lasts)
		l.mu.Unlock()
		l.gapUntil(l.away)
		l.current.dev.reset(e.lasts)
	case diskStall:
		l.mu.Lock()
		if now.After(l.stalled.Add(time.Second)) {
			l.stallBegan = now
		}
		l.stalled = later(l.stalled, now.Add(e.lasts))
		l.mu.Unlock()
		l.current.disk.stall(l.stalled)
	case upgrade:
		m := l.current
		if m.door.broken { // the `highwater check` before an upgrade says so
			m.door.renew(l.certificates)
		}
		m.stop()
		l.goDown(e, func() { m.start(); l.current = m })
	case handover:
		l.epoch++
		l.other.own(l.current.give(), l.epoch)
		l.current, l.other = l.other, l.current
		l.gapUntil(now)
	case powerCut:
		m := l.current
		l.mu.Lock()
		l.lives++
		l.result.cuts++
		l.mu.Unlock()
		m.cut()
		l.goDown(e, func() { m.boot(); m.start(); l.current = m; l.floorAt(m, levelsAhead) })
	case deadDisk:
		m := l.current
		l.mu.Lock()
		l.lives++
		l.mu.Unlock()
		m.stop()
		require.NoError(l.t, os.RemoveAll(m.dir))
		l.goDown(e, func() {
			l.epoch++
			l.other.own(l.other.signer.Floors(l.chain.known().Level+3, hwm.SourceSet), l.epoch)
			m.install()
			l.current, l.other = l.other, m
			l.floorAt(l.current, deadDisk)
		})
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// gapUntil notes a gap without signatures, or a first request of a machine or of an owner to come.
func (l *life) gapUntil(end time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bare = later(l.bare, end)
}

func (l *life) goDown(e event, comes func()) {
	l.current, l.down, l.back, l.comes = nil, e.what, time.Now().Add(e.lasts), comes
	l.gapUntil(l.back)
}

// floorAt notes the highest mark that a start has: what is asked for at or below is lost to f.
func (l *life) floorAt(m *machine, f fault) {
	rows, err := m.db.Rows()
	require.NoError(l.t, err)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.floor, l.floorOf = 0, f
	for _, r := range rows {
		l.floor = max(l.floor, r.Level)
	}
}

// judge has seen every signature that left either machine.
type judge struct {
	seen map[judged][]byte
	last int32
}

type judged struct {
	kind         tezos.Kind
	level, round int32
}

func (j *judge) see(t *testing.T, a ask, payload []byte) {
	if j.seen == nil {
		j.seen = map[judged][]byte{}
	}
	at := judged{a.step.Kind, a.step.Level, a.step.Round}
	before, ok := j.seen[at]
	require.True(t, !ok || bytes.Equal(before, payload), "two signatures for %v", at)
	j.seen[at] = payload
	if j.last = max(j.last, a.step.Level); len(j.seen) > 10_000 {
		for k := range j.seen {
			if k.level < j.last-1000 {
				delete(j.seen, k)
			}
		}
	}
}
