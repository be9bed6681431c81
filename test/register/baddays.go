package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"highwater/operate"
	"highwater/test/harness"
)

// slowSync is added to each sync of a slow disk.
const slowSync = 100 * time.Millisecond

// badDays are the scenarios with a fault of the register, a disk, a clock or an operator.
func badDays() []scenario {
	long := func(ahead int) int { return 6 * ahead }
	return []scenario{
		{"each member with 100 ms a sync, in turn", none, slowMembers},
		{"owner on a disk with 100 ms a sync", func(int) int { return 1 }, slowDisk},
		{"owner's certificate ended, and renewed", takenOver, certificateEnds},
		{"register full, and emptied", long, full},
		{"record deleted, and put back", long, deleted},
		{"a standby's endpoints in another cluster", none, otherCluster},
		{"a clone beside its original, owner killed", func(ahead int) int { return 2 * takenOver(ahead) }, clone},
		{"register restored from an older snapshot", long, restored},
		{"two of three members on older disks", long, olderDisks},
	}
}

func slowMembers(ctx context.Context, w *world, _ *machine) error {
	for _, s := range w.members {
		err := errors.Join(s.again(harness.SlowDisk(slowSync)...), w.levels(ctx, 3), s.again(), w.levels(ctx, 2))
		if err != nil {
			return err
		}
	}
	return w.awaitOwner(ctx, -1)
}

// slowDisk lets a standby with a slow disk take the right, and give the right back.
func slowDisk(ctx context.Context, w *world, owner *machine) error {
	to := w.other(owner)
	if err := errors.Join(to.Stop(), to.StartUnder(harness.SlowDisk(slowSync)...)); err != nil {
		return err
	}
	if _, err := to.AwaitUp(ctx); err != nil {
		return err
	}
	if err := errors.Join(w.move(ctx, to), w.levels(ctx, 3), w.move(ctx, owner)); err != nil {
		return err
	}
	return errors.Join(to.Stop(), to.start(ctx))
}

// move hands the right over to a machine, once the machine is ready.
func (w *world) move(ctx context.Context, to *machine) error {
	if err := to.retry(ctx, "handover", "--yes", "--now"); err != nil {
		return err
	}
	return w.awaitOwner(ctx, to.index)
}

func certificateEnds(ctx context.Context, w *world, owner *machine) error {
	user := bakery(owner.index)
	if err := w.pki.issue(user, time.Now().Add(w.interval)); err != nil {
		return err
	}
	owner.dialAgain() // with the new certificate
	if err := w.levels(ctx, 2); err != nil {
		return err
	}
	owner.dialAgain()
	err := w.awaitWords(ctx, owner, "ended on")
	err = errors.Join(err, w.pki.issue(user, time.Now().AddDate(1, 0, 0)))
	owner.dialAgain()
	return errors.Join(err, w.awaitQuiet(ctx, owner), w.awaitOwner(ctx, -1))
}

// dialAgain ends the connections of a machine to the register.
func (m *machine) dialAgain() {
	for _, l := range m.links {
		l.set(open)
	}
}

// awaitState waits until a machine's status satisfies a condition.
func (w *world) awaitState(ctx context.Context, m *machine, what string, yes func(operate.Status) bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if st, err := m.status(ctx); err == nil && st.Register != nil && yes(st) {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("machine %d: %s", m.index, what), w.words(context.WithoutCancel(ctx)))
		}
	}
}

// awaitWords waits until a machine tells of a fault of the register with these words.
func (w *world) awaitWords(ctx context.Context, m *machine, words string) error {
	return w.awaitState(ctx, m, "no word of: "+words, func(st operate.Status) bool {
		return strings.Contains(st.Register.Error, words)
	})
}

func (w *world) awaitQuiet(ctx context.Context, m *machine) error {
	return w.awaitState(ctx, m, "the fault is not over", func(st operate.Status) bool { return st.Register.Error == "" })
}

// full fills the register, waits for the end of the horizon, and empties the register.
func full(ctx context.Context, w *world, owner *machine) error {
	junk := bytes.Repeat([]byte("x"), 1<<20)
	var err error
	for range 2 * quota >> 20 {
		if _, err = w.ctl(ctx, junk, "put", "/junk"); err != nil {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), "space exceeded") {
		return fmt.Errorf("the register is not full: %w", err)
	}
	if err = errors.Join(w.awaitWords(ctx, owner, "space exceeded"), w.levels(ctx, w.ahead+1)); err != nil {
		return err
	}
	revision, err := w.revision(ctx)
	if err != nil {
		return err
	}
	for _, args := range [][]string{{"compact", revision}, {"defrag"}, {"alarm", "disarm"}} {
		if _, err = w.ctl(ctx, nil, args...); err != nil {
			return err
		}
	}
	return w.awaitOwner(ctx, -1)
}

func deleted(ctx context.Context, w *world, _ *machine) error {
	out, err := w.ctl(ctx, nil, "del", recordKey, "--prev-kv") // the owner may write until the very deletion
	if err != nil {
		return err
	}
	_, value, found := bytes.Cut(bytes.TrimSuffix(out, []byte("\n")), []byte(recordKey+"\n"))
	if !found {
		return fmt.Errorf("etcdctl del: %s", out)
	}
	if err = w.nobody(ctx, "holds no record"); err != nil {
		return err
	}
	if _, err = w.ctl(ctx, value, "put", recordKey); err != nil {
		return err
	}
	return w.awaitOwner(ctx, -1)
}

// nobody waits until each machine tells why the register gives nobody the right, and wants no signature for some
// levels.
func (w *world) nobody(ctx context.Context, words string) error {
	for _, m := range w.machines {
		if err := w.awaitWords(ctx, m, words); err != nil {
			return err
		}
	}
	from, _ := w.now()
	if err := w.levels(ctx, w.ahead+2); err != nil {
		return err
	}
	if to, _ := w.now(); w.missed(from+1, to-1) != int(to-1-from) {
		return errors.New("somebody signs by a register that gives nobody the right")
	}
	return nil
}

func otherCluster(ctx context.Context, w *world, owner *machine) error {
	client, err := w.address(ctx)
	if err != nil {
		return err
	}
	peer, err := w.address(ctx)
	if err != nil {
		return err
	}
	lost := w.other(owner)
	s := w.newServer("foreign", lost.index, client, peer, "foreign=http://"+peer)
	if err = s.start(); err != nil {
		return err
	}
	for _, l := range lost.links {
		l.lead(client)
	}
	err = w.awaitWords(ctx, lost, "cluster")
	for i, l := range lost.links {
		l.lead(w.clients[i])
	}
	return errors.Join(err, w.awaitQuiet(ctx, lost), s.Kill(), w.calm(ctx))
}

// calm ends the alarms, as the operator does.
func (w *world) calm(ctx context.Context) error {
	for _, m := range w.machines {
		if _, err := m.Command(ctx, "acknowledge", "--all"); err != nil {
			return err
		}
	}
	return nil
}

// clone copies a stopped machine, state and identity, starts both, and kills the owner: a baker asks each of them.
func clone(ctx context.Context, w *world, owner *machine) error {
	original := w.other(owner)
	if err := original.Stop(); err != nil {
		return err
	}
	c := &machine{index: original.index, links: original.links}
	dir := filepath.Join(w.dir, "clone")
	err := errors.Join(os.Mkdir(dir, 0o700),
		duplicate(ctx, filepath.Join(original.Dir, "state"), filepath.Join(dir, "state")))
	if err != nil {
		return err
	}
	if err = w.make(ctx, c, dir); err != nil {
		return err
	}
	if err = errors.Join(original.start(ctx), c.start(ctx)); err != nil {
		return err
	}
	asked, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { w.bake(asked, c); close(done) }()
	owner.up = false // the clone, or another machine, takes over
	err = errors.Join(owner.Kill(), w.levels(ctx, w.ahead+4), c.Kill(), owner.start(ctx))
	cancel()
	<-done
	return errors.Join(err, w.awaitOwner(ctx, -1), os.RemoveAll(dir))
}

// duplicate copies a directory with its permissions.
func duplicate(ctx context.Context, from, to string) error {
	out, err := exec.CommandContext(ctx, "cp", "-a", from, to).CombinedOutput() //nolint:gosec // the lab's own directories
	if err != nil {
		return fmt.Errorf("cp -a %s %s: %w: %s", from, to, err, out)
	}
	return nil
}

// wentBack stops the members, lets some of them run with older data until each machine has told of the older register,
// and puts the newest data back.
func (w *world) wentBack(ctx context.Context, members []*server, older func(i int, s *server) error) error {
	var errs []error
	for _, s := range w.members {
		errs = append(errs, s.Kill())
	}
	for i, s := range members {
		errs = append(errs, os.Rename(s.data, s.data+".newest"), older(i, s), s.start())
	}
	errs = append(errs, w.nobody(ctx, "older than this instance"))
	for _, s := range members {
		errs = append(errs, s.Kill(), os.RemoveAll(s.data), os.Rename(s.data+".newest", s.data))
	}
	for _, s := range w.members {
		errs = append(errs, s.start())
	}
	return errors.Join(append(errs, w.awaitOwner(ctx, -1), w.calm(ctx))...)
}

func restored(ctx context.Context, w *world, _ *machine) error {
	snapshot := filepath.Join(w.dir, "snapshot")
	if _, err := w.ctlAt(ctx, w.clients[:1], nil, "snapshot", "save", snapshot); err != nil {
		return err
	}
	if err := w.levels(ctx, 3); err != nil {
		return err
	}
	return w.wentBack(ctx, w.members, func(_ int, s *server) error {
		args := []string{"snapshot", "restore", snapshot, "--data-dir", s.data}
		for i, a := range s.command {
			switch a {
			case "--name", "--initial-cluster", "--initial-cluster-token", "--initial-advertise-peer-urls":
				args = append(args, a, s.command[i+1])
			}
		}
		_, err := w.ctl(ctx, nil, args...)
		return err
	})
}

func olderDisks(ctx context.Context, w *world, _ *machine) error {
	two := w.members[:2]
	for _, s := range two { // one after the other: the register lives on
		err := errors.Join(s.Kill(), duplicate(ctx, s.data, s.data+".older"), s.start(), w.levels(ctx, 2))
		if err != nil {
			return err
		}
	}
	return w.wentBack(ctx, two, func(_ int, s *server) error { return os.Rename(s.data+".older", s.data) })
}
