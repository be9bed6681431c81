package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// turnsAt gives three turns of a second each with a rate and one latency.
func turnsAt(rate int, latency time.Duration) []sample {
	s := sample{took: time.Second}
	for range rate {
		s.latency = append(s.latency, latency)
	}
	out := make([]sample, 3)
	for i := range out {
		out[i] = s
	}
	return out
}

// pacedAt gives a signer at a baker's pace whose answers come a millisecond after the device; a floor's are late.
func pacedAt(name string, floor bool, commits float64, levels int) paced {
	latency := durations(6, 6, 6)
	if floor {
		latency = durations(100, 150, 200)
	}
	return paced{Name: name, Latency: latency, Commits: commits * float64(levels), Levels: levels}
}

// fine is a run in which every target is met with room to spare.
func fine() measured {
	m := measured{
		device: durations(5), batch: durations(11), update: durations(1), replug: durations(400, 500), gaps: durations(5, 9),
		many: many{
			signatures: 10, rss: 30 << 20, size: 1 << 20,
			start:     startTimes{ready: 200 * time.Millisecond, devices: 100 * time.Millisecond},
			startMost: startTimes{ready: 1200 * time.Millisecond, devices: time.Second},
		},
	}
	m.onDisk = transports{
		http: turnsAt(100, time.Millisecond), socket: turnsAt(150, time.Millisecond), device: durations(1),
	}
	m.inMemory = m.onDisk
	for _, sh := range sharers() {
		p := pacedAt(sh.name, false, 1, 50)
		m.shared.signers, m.shared.idle = append(m.shared.signers, &p), append(m.shared.idle, idleTime/1000)
	}
	for i, d := range stalled {
		m.stalled = append(m.stalled, pacedAt(d.name, i == 0, 1, 50))
	}
	for i, d := range busy {
		m.busy = append(m.busy, pacedAt(d.name, i == 0, 1, 50))
	}
	for _, slow := range []bool{false, true} {
		for _, keys := range keyCounts {
			for _, s := range styles {
				c := cell{keys: keys, slow: slow, style: s, disks: []diskTimes{{time.Millisecond, 2 * time.Millisecond}}}
				c.slices[zeroDevice] = turnsAt(90, time.Millisecond)
				c.slices[slowDevice] = turnsAt(90, 5200*time.Microsecond)
				c.slices[bareHTTP] = turnsAt(90, 5200*time.Microsecond)
				c.slices[theFloor] = turnsAt(100, time.Millisecond)
				if !slow {
					c.slices[fileModel] = turnsAt(10, time.Millisecond)
				}
				m.cells = append(m.cells, c)
			}
		}
	}
	return m
}

func TestEveryTargetCanBeMet(t *testing.T) {
	rows := fine().rows()
	require.False(t, anyMissed(rows), "%+v", rows)
	for _, r := range rows {
		require.NotEmpty(t, r.what)
		require.NotEmpty(t, r.target)
		require.NotEmpty(t, r.measured)
	}
}

// Each target is broken in turn, and each must be seen to be missed.
func TestEveryTargetCanBeMissed(t *testing.T) {
	for what, breaks := range map[string]func(*measured){
		"baker's pace, each sync +100 ms": func(m *measured) {
			m.stalled[3].Latency = durations(6, 6, 8)
		},
		"baker's pace, each sync +100 ms, ahead 2: p99 beyond the device": func(m *measured) {
			m.stalled[0].Latency = durations(49)
		},
		"baker's pace, a writer saturates the disk": func(m *measured) {
			m.busy[2].Latency = durations(11)
		},
		"baker's pace, a writer saturates the disk, ahead 2": func(m *measured) {
			m.busy[0].Latency = durations(99)
		},
		"baker's pace, a writer saturates the disk, ahead 2: p99 beyond": func(m *measured) {
			m.busy[2].Lost = []string{"one"}
		},
		"baker's pace, ahead 2: p50 with each sync +2 ms": func(m *measured) {
			m.stalled[4].Latency = durations(7)
		},
		"syncs a level and key at baker's pace": func(m *measured) { m.stalled[3].Commits *= 1.1 },
		"1 key, disk as it is, new connections: rate": func(m *measured) {
			m.cells[0].slices[zeroDevice] = turnsAt(69, time.Millisecond)
		},
		"64 keys, disk +2 ms, kept connections: rate": func(m *measured) {
			last(m).slices[zeroDevice] = turnsAt(69, time.Millisecond)
		},
		"64 keys at once, p99": func(m *measured) {
			m.cells[len(m.cells)-2].slices[zeroDevice] = turnsAt(90, 30*time.Millisecond)
		},
		"added to the device, 1 key, device of 0 ms": func(m *measured) {
			m.cells[0].slices[zeroDevice] = turnsAt(90, 2301*time.Microsecond)
		},
		"added to the device, 1 key, device of 5 ms": func(m *measured) {
			m.cells[0].slices[slowDevice] = turnsAt(90, 5301*time.Microsecond)
		},
		"a whole request beside bbolt's Batch": func(m *measured) {
			m.cells[1].slices[zeroDevice] = turnsAt(90, 10*time.Millisecond)
		},
		"start to ready, 100 keys":  func(m *measured) { m.many.start.ready = 400 * time.Millisecond },
		"start to ready, 1000 keys": func(m *measured) { m.many.startMost.ready = 1500 * time.Millisecond },
		"memory, 100 keys":          func(m *measured) { m.many.rss = 60 << 20 },
		"re-plugged device to the waiting request": func(m *measured) {
			m.replug = durations(1, 2000)
		},
		"baker's pace, register, beside the same build alone: p50": func(m *measured) {
			m.shared.signers[0].Latency = durations(5, 5, 6)
		},
		"baker's pace, register, beside the same build alone: p99": func(m *measured) {
			m.shared.signers[1].Latency = durations(6, 6, 7)
		},
		"baker's pace, register, each member's sync +100 ms": func(m *measured) {
			m.shared.signers[2].Lost = []string{"one"}
		},
		"idle owner with a register":             func(m *measured) { m.shared.idle[1] = idleTime / 100 },
		"live handover, from the last signature": func(m *measured) { m.gaps = nil },
		"marks.db after 10 signatures":           func(m *measured) { m.many.size = 4 << 20 },
	} {
		m := fine()
		breaks(&m)
		found := false
		for _, r := range m.rows() {
			found = found || strings.HasPrefix(r.what, what) && r.verdict == missed
		}
		require.True(t, found, what)
	}
}

// A margin forgives what is within it, and nothing else.
func TestMargin(t *testing.T) {
	m := fine()
	m.many.rss, m.cells[0].slices[zeroDevice] = 80<<20, turnsAt(50, time.Millisecond)
	require.True(t, anyMissed(m.rows()))
	m.margin = 1.5
	require.False(t, anyMissed(m.rows()))
	m.many.rss = 90 << 20
	require.True(t, anyMissed(m.rows()))
}

func last(m *measured) *cell { return &m.cells[len(m.cells)-1] }

// Without a slow disk its rows say so, and decide nothing.
func TestNoSlowDiskIsNoMiss(t *testing.T) {
	m := fine()
	m.noSlow = io.ErrUnexpectedEOF
	m.cells = m.cells[:len(m.cells)/2]
	require.False(t, anyMissed(m.rows()))
	var out bytes.Buffer
	require.NoError(t, m.print(&out, options{plan: plan{dir: t.TempDir()}}, m.rows(), time.Second))
	require.Contains(t, out.String(), "disk +2 ms: not measured: unexpected EOF")
}

// Without etcd its rows say so, and decide nothing.
func TestNoRegisterIsNoMiss(t *testing.T) {
	m := fine()
	m.shared = shared{none: io.ErrUnexpectedEOF}
	require.False(t, anyMissed(m.rows()))
	for _, r := range m.sharedRows() {
		require.Equal(t, "not measured: unexpected EOF", r.measured)
		require.Equal(t, unknown, r.verdict)
	}
}

func TestTheTableIsRatiosFirst(t *testing.T) {
	var out bytes.Buffer
	m := fine()
	require.NoError(t, m.print(&out, options{plan: plan{dir: t.TempDir()}}, m.rows(), time.Second))
	require.Regexp(t, `(?m)^RATIO +WHAT +TARGET +MEASURED +VERDICT$`, out.String())
	require.Regexp(t, `(?m)^0\.90 × +1 key, disk as it is, new connections: .* ≥ 0\.7 × +90/s beside 100/s +pass$`,
		out.String())
	require.Regexp(t, `(?m)^9\.00 × +64 keys, new connections: beside a file watermark without sync \(our model\)`,
		out.String())
}

func TestFlags(t *testing.T) {
	o, err := parse(nil, io.Discard)
	require.NoError(t, err)
	require.Equal(t, int64(100_000), o.signatures)
	require.False(t, o.check)
	for _, bad := range [][]string{
		{"-turns", "0"},
		{"-slice", "1ms"},
		{"-signatures", "0"},
		{"-keys", "0"},
		{"-pace", "3s"},
		{"-margin", "0.9"},
		{"-margin", "NaN"},
		{"-nothing"},
	} {
		_, err := parse(bad, io.Discard)
		require.Error(t, err, "%v", bad)
	}
}

func TestMachineIsDescribed(t *testing.T) {
	text := describeMachine(t.TempDir())
	require.Regexp(t, `^.+, \d+ cores, Linux \d.*, .+, go\d`, text)
	require.Equal(t, "unknown file system", fileSystem("/nowhere/at/all"))
	require.Equal(t, "unknown processor", field("/nowhere", "model name"))
}
