package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/store"
	"highwater/store/storetest"
)

// The environment with which this test binary stands for another process.
const (
	childRole = "HIGHWATER_STORE_TEST_CHILD"
	childDir  = "HIGHWATER_STORE_TEST_DIR"
	// childRuntime is the runtime directory of a child that keeps a level ahead.
	childRuntime = "HIGHWATER_STORE_TEST_RUNTIME"
)

// child is what the test binary does as another process; it gives the exit code.
func child(role string) int {
	run := map[string]func(dir string) error{"hold": childHold, "advance": childAdvance, "limit": childLimit}[role]
	if run == nil {
		run = func(string) error { return fmt.Errorf("no child %q", role) }
	}
	if err := run(os.Getenv(childDir)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// startChild starts one, and gives its output line by line. stdin stays open until the test closes it.
func startChild(t *testing.T, role, dir string) (*exec.Cmd, io.WriteCloser, *bufio.Reader) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	c := exec.CommandContext(t.Context(), self)
	c.Env = append(os.Environ(), childRole+"="+role, childDir+"="+dir)
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	require.NoError(t, err)
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	return c, in, bufio.NewReader(out)
}

// childHold opens the store and keeps it until its standard input ends.
func childHold(dir string) error {
	db, err := tryOpen(dir)
	if err != nil {
		return err
	}
	fmt.Println("open")
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, db.Close())
}

func TestSecondProcessIsToldWhoHoldsTheDirectory(t *testing.T) {
	dir := newDir(t)
	c, in, out := startChild(t, "hold", dir)
	_, err := out.ReadString('\n')
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = store.Open(ctx, dir, store.Options{})
	require.ErrorIs(t, err, store.ErrInUse)
	require.Contains(t, err.Error(), "process "+strconv.Itoa(c.Process.Pid))
	require.ErrorIs(t, store.Create(ctx, dir, at), store.ErrInUse)

	// Without the lock file, too, which somebody may have tidied away: bbolt has its own lock on the file.
	require.NoError(t, os.Remove(dir+"/lock"))
	_, err = tryOpen(dir)
	require.ErrorIs(t, err, store.ErrInUse)

	require.NoError(t, in.Close())
	require.NoError(t, c.Wait())
	openDir(t, dir)
}

func TestSecondOpenInOneProcessIsRefused(t *testing.T) {
	dir := newDir(t)
	openDir(t, dir)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := store.Open(ctx, dir, store.Options{})
	require.ErrorIs(t, err, store.ErrInUse)
	require.Contains(t, err.Error(), strconv.Itoa(os.Getpid()))
}

// Whoever waits for a process that is about to end gets the directory as soon as it is free.
func TestOpenWaitsForTheOneBefore(t *testing.T) {
	dir := newDir(t)
	c, in, out := startChild(t, "hold", dir)
	_, err := out.ReadString('\n')
	require.NoError(t, err)
	time.AfterFunc(100*time.Millisecond, func() { _ = in.Close() }) // it waits 2 s
	openDir(t, dir)
	require.NoError(t, c.Wait())
}

const crashKeys = 8

// childAdvance moves marks of several keys, as fast as it can, and says which are durable, until it is killed.
func childAdvance(dir string) error {
	var opt store.Options
	if runtime := os.Getenv(childRuntime); runtime != "" {
		opt = store.Options{Ahead: 1, RuntimeDir: runtime}
	}
	db, err := store.Open(context.Background(), dir, opt)
	if err != nil {
		return err
	}
	var (
		all sync.WaitGroup
		mu  sync.Mutex
	)
	say := func(verb string, n int, level int32) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf("%s %d %d\n", verb, n, level) // one write: a kill does not cut it
	}
	for n := range crashKeys {
		all.Go(func() {
			key := storetest.Key(n, tezos.Block)
			st, err := db.State(key)
			for level := st.Mark.Level + 1; err == nil; level++ {
				say("ask", n, level)
				mark := storetest.Mark(level, 0, byte(level))
				if err = storetest.Advance(db, key, mark); err == nil {
					say("ack", n, level)
					db.Keep(key, mark.Digest, storetest.Signature(fatal{}, key.PKH.Curve, byte(level)))
				}
			}
		})
	}
	all.Wait()
	return db.Close()
}

type fatal struct{}

func (fatal) Errorf(format string, args ...any) { fmt.Fprintf(os.Stderr, format, args...) }
func (fatal) FailNow()                          { os.Exit(1) }

// A process that is killed at any time leaves what it acknowledged, and nothing that was not asked for.
func TestKilledAtRandom(t *testing.T) { killedAtRandom(t, 20, store.Options{}) }

// With a level ahead, too: a kill costs nothing, since the exact marks are in the runtime file when the disk does not
// have them yet.
func TestKilledAtRandomAhead(t *testing.T) {
	shm := tmpfs(t)
	t.Setenv(childRuntime, shm)
	killedAtRandom(t, 12, store.Options{Ahead: 1, RuntimeDir: shm})
}

func killedAtRandom(t *testing.T, rounds int, opt store.Options) {
	dir := newDir(t)
	keys := make([]hwm.Key, crashKeys)
	for n := range keys {
		keys[n] = storetest.Key(n, tezos.Block)
	}
	db := openDir(t, dir)
	storetest.Floor(t, db, 0, keys...)
	require.NoError(t, db.Close())
	total := 0
	for round := range rounds {
		c, _, out := startChild(t, "advance", dir)
		var acked, asked [crashKeys]int32
		var kill *time.Timer
		doom := func() {
			kill = time.AfterFunc(time.Duration(15+7*(round%6))*time.Millisecond, func() { _ = c.Process.Kill() })
		}
		if round%2 == 0 { // maybe before it is open; the others when they are at work
			doom()
		}
		for {
			line, err := out.ReadString('\n')
			if err != nil {
				break
			}
			if kill == nil {
				doom()
			}
			var verb string
			var n int
			var level int32
			_, err = fmt.Sscanf(line, "%s %d %d", &verb, &n, &level)
			require.NoError(t, err)
			if verb == "ack" {
				acked[n] = level
				total++
			} else {
				asked[n] = level
			}
		}
		kill.Stop()
		require.Error(t, c.Wait(), "it was killed")

		db := openDir(t, dir, opt)
		require.Empty(t, db.Ended().Floors, db.Ended().Why)
		for n, key := range keys {
			st, err := db.State(key)
			require.NoError(t, err)
			require.GreaterOrEqual(t, st.Mark.Level, acked[n], "round %d: an acknowledged mark is gone", round)
			if asked[n] > 0 {
				require.LessOrEqual(t, st.Mark.Level, asked[n], "round %d: a mark that nobody asked for", round)
			}
			if st.Mark.HasDigest {
				require.Equal(t, byte(st.Mark.Level), st.Mark.Digest[0], "the digest of another request")
			}
			if !st.Mark.Signature.IsZero() {
				require.Equal(t, byte(st.Mark.Level), st.Mark.Signature.Bytes()[0], "the signature of another request")
			}
		}
		require.NoError(t, db.Close())
		checkFile(t, dir)
	}
	require.Positive(t, total, "no child lived long enough to do anything")
}

// childLimit runs into a file-size limit (EFBIG): the commit fails, and from then on everything is refused.
func childLimit(dir string) error {
	signal.Ignore(unix.SIGXFSZ)
	db, err := tryOpen(dir)
	if err != nil {
		return err
	}
	key := storetest.Key(1, tezos.Block)
	if err = unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 8192, Max: 8192}); err != nil {
		return err
	}
	err = storetest.Advance(db, key, storetest.Mark(11, 0, 1))
	if !errors.Is(err, store.ErrPoisoned) || !errors.Is(err, unix.EFBIG) {
		return fmt.Errorf("advance: %w", err)
	}
	if err = refusesAll(db, key); err != nil {
		return err
	}
	return db.Close()
}

// refusesAll wants everything that can fail to fail with ErrPoisoned.
func refusesAll(db *store.DB, key hwm.Key) error {
	_, state := db.State(key)
	_, advance := db.Advance(key, storetest.Mark(99, 0, 1))
	_, raise := db.Raise([]hwm.Row{{Key: key, Mark: hwm.Floor(99, at, hwm.SourceSet)}})
	_, rows := db.Rows()
	role := db.Role()
	role.Role, role.Epoch = hwm.Active, role.Epoch+1
	for name, err := range map[string]error{
		"state": state, "advance": advance, "raise": raise, "rows": rows, "healthy": db.Healthy(),
		"role":  db.SetRole(role, nil),
		"probe": db.Probe(),
		"seen":  db.SetSeen("left", key.PKH, 0, hwm.Position{}),
		"ceiling": db.SetCeiling(hwm.CeilingKey{Chain: key.Chain, PKH: key.PKH},
			hwm.Ceiling{Level: 1, Source: hwm.SourceSet}),
		"record": db.Record(store.JournalEntry{At: at, Action: "test"}),
		"lower":  db.Lower(key, hwm.Floor(1, at, hwm.SourceSet), "why"),
	} {
		if !errors.Is(err, store.ErrPoisoned) {
			return fmt.Errorf("%s after a failed commit: %w", name, err)
		}
	}
	if db.Role().Role == hwm.Active {
		return errors.New("a role that is not durable shows")
	}
	return nil
}

func TestFileSizeLimitPoisons(t *testing.T) {
	dir := newDir(t)
	key := storetest.Key(1, tezos.Block)
	db := openDir(t, dir)
	storetest.Floor(t, db, 10, key)
	require.NoError(t, db.Close())
	c, in, _ := startChild(t, "limit", dir)
	require.NoError(t, in.Close())
	require.NoError(t, c.Wait())
	st, err := openDir(t, dir).State(key)
	require.NoError(t, err)
	require.Equal(t, int32(10), st.Mark.Level)
}

// A write that fails (no space), and a sync that fails although every write went well: both poison.
func TestFailedCommitPoisons(t *testing.T) {
	for with, text := range map[string]string{
		storetest.NoSpace:    "no space left",
		storetest.FailedSync: "invalid",
	} {
		t.Run(strings.TrimPrefix(with, "/dev/"), func(t *testing.T) {
			dir := newDir(t)
			key := storetest.Key(1, tezos.Block)
			db := openDir(t, dir)
			storetest.Floor(t, db, 10, key)
			require.NoError(t, db.Healthy())
			storetest.Break(t, db.Path(), with)
			p, err := db.Advance(key, storetest.Mark(11, 0, 1))
			require.NoError(t, err)
			err = p.Wait()
			require.ErrorIs(t, err, store.ErrPoisoned)
			require.ErrorContains(t, err, text)
			require.ErrorIs(t, p.Wait(), store.ErrPoisoned, "asked again, it is durable all of a sudden")
			require.NoError(t, refusesAll(db, key))
			<-db.Failed()
			require.True(t, store.Fails(db.Healthy()))
			require.ErrorIs(t, db.Probe(), store.ErrPoisoned)
			require.Equal(t, int32(11), db.Known()[0].Level, "what is known is told still")
			db.Keep(key, storetest.Mark(11, 0, 1).Digest, storetest.Signature(t, key.PKH.Curve, 1))
			require.NoError(t, db.Close())
			st, err := openDir(t, dir).State(key)
			require.NoError(t, err)
			require.Equal(t, int32(10), st.Mark.Level)
		})
	}
}

// A signature that waits for company is written alone; when even that fails the store is poisoned as well.
func TestFailedKeepPoisons(t *testing.T) {
	dir := newDir(t)
	key := storetest.Key(1, tezos.Block)
	db := openDir(t, dir)
	storetest.Floor(t, db, 10, key)
	mark := storetest.Mark(11, 0, 1)
	require.NoError(t, storetest.Advance(db, key, mark))
	storetest.Break(t, db.Path(), storetest.NoSpace)
	db.Keep(key, mark.Digest, storetest.Signature(t, key.PKH.Curve, 1))
	require.Eventually(t, func() bool { return errors.Is(db.Healthy(), store.ErrPoisoned) }, 5*time.Second,
		time.Millisecond)
}
