package early

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"highwater/internal/certs"
	"highwater/internal/device"
)

const blockTime = 6 * time.Second

// world is a baker's machine in numbers: what the daemon would tell a watch. The driver changes the numbers in its own
// goroutine, and the watch reads them in another.
type world struct {
	t      *testing.T
	random *rand.Rand
	setup  setup
	begin  time.Time

	watch  *Watch
	limits Limits
	stop   func()
	silent time.Time // the node is back at this time
	away   time.Time // the device is back at this time

	mu      sync.Mutex
	head    Head
	health  Device
	marks   int32
	lead    int32     // of the marks, by a level that was typed wrong
	ends    time.Time // of the certificate
	follow  Follow
	mute    time.Time // the register did not answer since; zero: it answers
	audit   string
	holders []string
	level   int32 // of the chain
	rights  []Settled
	quiet   bool // the baker asks for nothing
	lost    bool // the chain includes nothing
	unheld  []Unheld
	outages []time.Time // ends of the node's restarts
	syncs   func() time.Duration
	signs   func() time.Duration
	began   []Warning
	over    []Warning
}

// setup is a kind of baker.
type setup struct {
	name     string
	keys     int
	device   [2]time.Duration // the least and the longest time of a signature
	standby  bool
	lifetime time.Duration // of certificates
}

func newWorld(t *testing.T, s setup) *world {
	w := &world{t: t, random: rand.New(rand.NewPCG(7, uint64(s.keys))), setup: s, begin: time.Now(), level: 1_000_000, limits: Defaults}
	w.head = Head{w.level, w.begin}
	w.health = Device{Name: "left", Health: device.Absent, Since: w.begin, USB: "ledger"}
	w.ends = w.begin.Add(s.lifetime)
	w.follow = Follow{Wanted: s.standby, Connected: s.standby}
	w.marks = w.level
	w.signs = func() time.Duration { return w.between(s.device[0], s.device[1]) }
	w.syncs = func() time.Duration {
		switch n := w.random.IntN(10_000); {
		case n == 0:
			return w.between(500*time.Millisecond, 1500*time.Millisecond) // the disk's own housekeeping
		case n < 50:
			return w.between(50*time.Millisecond, 500*time.Millisecond)
		}
		return 8 * time.Millisecond
	}
	return w
}

func (w *world) between(least, most time.Duration) time.Duration {
	return least + time.Duration(w.random.Int64N(int64(most-least)+1))
}

// start starts the daemon: its memory is empty, and the device is looked for anew.
func (w *world) start() {
	w.set(func() { w.health.Health, w.health.Since = device.Absent, time.Now() })
	w.watch = New(w.limits, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	ended, watch := make(chan struct{}), w.watch
	go func() { defer close(ended); watch.Run(ctx, w.sources(), w.told) }()
	w.stop = sync.OnceFunc(func() { cancel(); <-ended })
	<-time.After(2 * time.Second)
	w.set(func() { w.health.Health, w.health.Since = device.Ready, time.Now() })
}

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func (w *world) told(warning Warning, over bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if over {
		w.over = append(w.over, warning)
		return
	}
	w.began = append(w.began, warning)
}

// read makes a source of a number of the world.
func read[T any](w *world, get func() T) func() T {
	return func() T {
		w.mu.Lock()
		defer w.mu.Unlock()
		return get()
	}
}

func (w *world) sources() Sources {
	return Sources{
		Devices: read(w, func() []Device { return []Device{w.health} }),
		Holders: func(string) []string { return read(w, func() []string { return w.holders })() },
		Head:    read(w, func() Head { return w.head }),
		Marks:   read(w, func() []Mark { return []Mark{{"tz1…", w.marks}} }),
		Certificates: read(w, func() []certs.Row {
			return []certs.Row{{Setting: "server.tls_cert", Begins: w.ends.Add(-w.setup.lifetime), Ends: w.ends}}
		}),
		Follow: read(w, func() Follow { return w.follow }),
		Silent: read(w, func() time.Duration {
			if w.mute.IsZero() {
				return 0
			}
			return time.Since(w.mute)
		}),
		Audit:   read(w, func() string { return w.audit }),
		Settled: w.settled,
		Unheld:  read(w, func() []Unheld { return w.unheld }),
	}
}

// oneLevel lives through a level: its block, its requests, and its commits. One level in 40 goes to a second round,
// one in 400 to a third, and one in 500 is reorganised.
func (w *world) oneLevel() {
	length := blockTime
	switch n := w.random.IntN(400); {
	case n == 0:
		length = 21 * time.Second
	case n <= 10:
		length = 13 * time.Second
	}
	back := int32(0)
	if w.random.IntN(500) == 0 {
		back = 1
	}
	start := time.Now()
	w.set(func() { w.level += 1 - back })
	if start.After(w.silent) {
		w.set(func() { w.head = Head{w.level, start} })
	}
	switch {
	case w.setup.standby: // the peer has a node of its own
		w.bake()
	case w.quiet, start.Before(w.silent.Add(20 * time.Second)): // the baker comes back after its node
		w.right(false, false)
	default:
		w.bake()
	}
	<-time.After(time.Until(start.Add(length)))
}

// settled gives the rights that are final. A node that is away tells of none.
func (w *world) settled(from int32) (out []Settled, next int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.rights) > 0 && w.rights[0].Level+5 <= w.head.Level {
		if w.rights[0].Level >= from {
			out = append(out, w.rights[0])
		}
		next = max(from, w.rights[0].Level+1)
		w.rights = w.rights[1:]
	}
	return out, max(next, from)
}

// right notes the end of the right of this level. One in 2000 is missed for no reason of ours.
func (w *world) right(asked, given bool) {
	w.set(func() {
		missed := !given || w.lost || w.random.IntN(2000) == 0
		w.rights = append(w.rights, Settled{
			Key: "tz1…", Level: w.level, Asked: asked, Missed: missed, Ours: !w.setup.standby, Fault: "the reason",
		})
	})
}

// bake asks for the attestations of a level, of all keys at once: the device serves one after the other.
func (w *world) bake() {
	given := false
	defer func() { w.right(true, given) }()
	if w.setup.standby {
		w.set(func() { w.marks = w.level + w.lead })
		return
	}
	queue := time.Duration(0)
	for range 2 * w.setup.keys {
		queue += w.signs()
		if wait := time.Until(w.away); wait > 0 {
			if wait+queue > 3*time.Second {
				w.watch.UsedUp(w.level)
				continue
			}
			queue += wait
		}
		if queue > 3*time.Second {
			w.watch.UsedUp(w.level)
			continue
		}
		given = true
		w.watch.Signed("left", queue)
	}
	w.watch.Committed(w.syncs())
	w.set(func() { w.marks = w.level + w.lead })
}

// reset takes the device away for a while. A Ledger comes back locked, or at its dashboard.
func (w *world) reset(away time.Duration) {
	w.away = time.Now().Add(away)
	w.set(func() { w.health.Health, w.health.Since = device.Absent, time.Now() })
	time.AfterFunc(away-time.Second, func() {
		w.set(func() { w.health.Health, w.health.Since = device.NoApp, time.Now() })
	})
	time.AfterFunc(away, func() {
		w.set(func() { w.health.Health, w.health.Since = device.Ready, time.Now() })
	})
}

// restartNode has the node away, and then show old blocks in a row while it catches up.
func (w *world) restartNode(away time.Duration) {
	w.silent = time.Now().Add(away)
	w.outages = append(w.outages, w.silent)
	go func() {
		<-time.After(away - time.Second)
		w.mu.Lock()
		defer w.mu.Unlock()
		for range int(away/blockTime) - 1 {
			w.head.Level++
			w.head.At = w.head.At.Add(blockTime)
			w.mu.Unlock()
			<-time.After(10 * time.Millisecond)
			w.mu.Lock()
		}
	}()
}

// upgrade restarts the daemon.
func (w *world) upgrade() {
	w.stop()
	<-time.After(2 * time.Second)
	w.start()
}

// hiccup breaks the links for a moment: to the peer, and to the register.
func (w *world) hiccup(lasts time.Duration) {
	w.set(func() { w.follow.Connected, w.mute = false, time.Now() })
	time.AfterFunc(lasts, func() {
		w.set(func() { w.follow.Connected, w.mute = w.setup.standby, time.Time{} })
	})
}
