package store_test

import (
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/signer"
	"highwater/store"
	"highwater/store/bootmarks"
	"highwater/store/storetest"
)

// tmpfs is a directory on one: /dev/shm is, wherever Linux is.
func tmpfs(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "highwater-test-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, bootmarks.Check(dir), "/dev/shm is no tmpfs here")
	return dir
}

// slowDisk lets a test say when a commit has returned. Nobody is told of it before.
type slowDisk struct {
	held    atomic.Bool
	arrived chan struct{}
	release chan struct{}
	ended   <-chan struct{} // the test, whose store could not close otherwise
	commits atomic.Int32
}

func newSlowDisk(t *testing.T) *slowDisk {
	return &slowDisk{ended: t.Context().Done(), arrived: make(chan struct{}, 100), release: make(chan struct{})}
}

func (d *slowDisk) onCommit(time.Duration) {
	d.commits.Add(1)
	if d.held.Load() {
		d.arrived <- struct{}{}
		select {
		case <-d.release:
		case <-d.ended:
		}
	}
}

// returns tells whether a Pending needs nothing any more. What is refused must not return within a moment that nothing
// ends.
func returns(t *testing.T, p hwm.Pending) bool {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- p.Wait() }()
	select {
	case err := <-done:
		require.NoError(t, err)
		return true
	case <-time.After(30 * time.Millisecond):
		return false
	}
}

func levels(kinds ...tezos.Kind) (keys []hwm.Key) {
	for _, k := range kinds {
		keys = append(keys, storetest.Key(1, k))
	}
	return keys
}

func advanceTo(t *testing.T, db *store.DB, key hwm.Key, level int32) hwm.Pending {
	t.Helper()
	p, err := db.Advance(key, storetest.Mark(level, 0, byte(level)))
	require.NoError(t, err)
	return p
}

func markAt(t *testing.T, db *store.DB, key hwm.Key) *hwm.Mark {
	t.Helper()
	st, err := db.State(key)
	require.NoError(t, err)
	return st.Mark
}

// The levels that are ahead do not wait for the disk; a horizon counts when its commit has returned, and not when it is
// queued or on its way.
func TestAHorizonThatIsOnDisk(t *testing.T) {
	disk := newSlowDisk(t)
	db := openDir(t, newDir(t), store.Options{Ahead: 1, OnCommit: disk.onCommit})
	keys := levels(tezos.Block, tezos.Preattestation, tezos.Attestation)
	block, attestation := keys[0], keys[2]
	storetest.Floor(t, db, 10, keys...)

	disk.held.Store(true)
	first := advanceTo(t, db, block, 11)
	<-disk.arrived
	require.False(t, returns(t, first), "the first signature of a run has no horizon")
	require.False(t, returns(t, advanceTo(t, db, attestation, 11)), "the horizon is on its way")
	disk.release <- struct{}{}
	require.NoError(t, first.Wait())
	ck := hwm.CeilingKey{Chain: block.Chain, PKH: block.PKH}
	require.Equal(t, int32(12), db.Horizons()[ck])

	<-disk.arrived // the attestation's
	require.True(t, returns(t, advanceTo(t, db, block, 12)), "it waits under a horizon")
	require.True(t, returns(t, advanceTo(t, db, keys[1], 12)), "a horizon is for all kinds")
	ahead := advanceTo(t, db, block, 13)
	require.False(t, returns(t, ahead), "the horizon at 13 is only queued")
	disk.release <- struct{}{}
	<-disk.arrived
	require.False(t, returns(t, ahead), "the horizon at 13 is on its way")
	disk.held.Store(false)
	disk.release <- struct{}{}
	require.NoError(t, ahead.Wait())
}

// What is on its way need not be waited for twice: a request that the commit under way covers waits for that one.
func TestTheCommitUnderWayCovers(t *testing.T) {
	disk := newSlowDisk(t)
	db := openDir(t, newDir(t), store.Options{Ahead: 2, OnCommit: disk.onCommit})
	key := storetest.Key(1, tezos.Block)
	storetest.Floor(t, db, 10, key)
	disk.held.Store(true)
	advanceTo(t, db, key, 11)
	<-disk.arrived // with a horizon at 13
	second := advanceTo(t, db, key, 12)
	disk.held.Store(false)
	disk.release <- struct{}{}
	require.NoError(t, second.Wait())
	require.Equal(t, byte(12), markAt(t, db, key).Digest[0])
}

// At a baker's pace there is one commit for each level, which carries the marks and signatures of the level before. A
// horizon that the next level does not need yet moves without a further request, too.
func TestOneCommitALevel(t *testing.T) {
	for _, ahead := range []int32{1, 2} {
		disk := newSlowDisk(t)
		db := openDir(t, newDir(t), store.Options{Ahead: ahead, OnCommit: disk.onCommit})
		keys := levels(tezos.Block, tezos.Preattestation, tezos.Attestation)
		storetest.Floor(t, db, 10, keys...)
		sign := func(key hwm.Key, level int32) {
			require.NoError(t, advanceTo(t, db, key, level).Wait())
			db.Keep(key, storetest.Mark(level, 0, byte(level)).Digest, storetest.Signature(t, key.PKH.Curve, 1))
		}
		sign(keys[0], 11)
		ck := hwm.CeilingKey{Chain: keys[0].Chain, PKH: keys[0].PKH}
		for level := int32(12); level < 40; level++ {
			before := disk.commits.Load()
			for _, key := range keys {
				sign(key, level)
			}
			require.Eventually(t, func() bool { return db.Horizons()[ck] == level+ahead }, 10*time.Second, time.Millisecond)
			require.Equal(t, before+1, disk.commits.Load(), "level %d, ahead %d", level, ahead)
		}
	}
}

// Whoever wants all that is in memory on disk waits for the marks that nobody waited for.
func TestLateMarksAreWaitedFor(t *testing.T) {
	dir := newDir(t)
	db := openDir(t, dir, store.Options{Ahead: 1})
	key, other := storetest.Key(1, tezos.Block), storetest.Key(1, tezos.Attestation)
	storetest.Floor(t, db, 10, key, other)
	require.NoError(t, advanceTo(t, db, key, 11).Wait())
	require.NoError(t, advanceTo(t, db, other, 11).Wait())
	_, err := db.Raise(nil)
	require.NoError(t, err)
	dbKey, err := other.MarshalBinary()
	require.NoError(t, err)
	editRaw(t, copyOf(t, dir), func(tx *bolt.Tx) error {
		mark, wrong := hwm.DecodeMark(dbKey, other.PKH.Curve, tx.Bucket([]byte("marks")).Get(dbKey))
		require.Equal(t, storetest.Mark(11, 0, 11), mark, "the exact mark is not on disk")
		return wrong
	})
	file, err := os.ReadFile(db.Path())
	require.NoError(t, err)
	c, err := reopened(t, t.TempDir(), file)
	require.NoError(t, err)
	for _, r := range c.Rows {
		require.Equal(t, int32(12), r.Level, "the horizon is the floor of a copy")
	}
	require.NoError(t, db.SetRole(hwm.RoleRecord{Role: hwm.Standby, Epoch: 1, Owner: db.Instance(), Since: at}, nil))
	file, err = os.ReadFile(db.Path())
	require.NoError(t, err)
	c, err = reopened(t, t.TempDir(), file)
	require.NoError(t, err)
	for _, r := range c.Rows {
		require.Equal(t, storetest.Mark(11, 0, 11), r.Mark, "a release leaves exact marks and no horizon")
	}
}

// powerCut ends a run as a power cut does, with what the last commit left on the disk.
func powerCut(t *testing.T, dir string, db *store.DB) {
	t.Helper()
	file, err := os.ReadFile(db.Path())
	require.NoError(t, err)
	runtime := db.RuntimeFile()
	require.NoError(t, db.Abandon())
	require.NoError(t, os.WriteFile(filepath.Join(dir, store.FileName), file, 0o600))
	if runtime != "" {
		require.NoError(t, os.Remove(runtime))
	}
}

// After a power cut nothing at or below the horizon is signed, of no kind that has a mark; a kind without one stays
// without one.
func TestAPowerCutCostsTheHorizon(t *testing.T) {
	dir := newDir(t)
	shm := tmpfs(t)
	db := openDir(t, dir, store.Options{Ahead: 2, RuntimeDir: shm})
	keys := levels(tezos.Block, tezos.Attestation)
	other := storetest.Key(2, tezos.Block)
	storetest.Floor(t, db, 10, append(keys, other)...)
	require.NoError(t, advanceTo(t, db, keys[0], 11).Wait())
	require.NoError(t, advanceTo(t, db, keys[0], 12).Wait()) // under the horizon at 13
	_, err := db.Raise(nil)
	require.NoError(t, err)
	powerCut(t, dir, db)

	for range 2 { // a look at it changes nothing
		db = openDir(t, dir, store.Options{Ahead: 2, RuntimeDir: shm})
		for _, key := range keys {
			mark := markAt(t, db, key)
			require.Equal(t, hwm.Position{Level: 14, Round: hwm.MaxRound}, mark.Position)
			require.Equal(t, hwm.SourceHorizon, mark.Source)
			require.False(t, mark.HasDigest)
		}
		require.Nil(t, markAt(t, db, storetest.Key(1, tezos.Preattestation)), "a horizon made a mark")
		require.Equal(t, int32(10), markAt(t, db, other).Level, "the horizon of another key")
		ck := hwm.CeilingKey{Chain: keys[0].Chain, PKH: keys[0].PKH}
		require.Equal(t, store.EndedCut, db.Ended().How)
		require.Equal(t, map[hwm.CeilingKey]int32{ck: 14}, db.Ended().Floors)
		require.NotEmpty(t, db.Ended().Why)
		require.NoError(t, db.Close())
	}
	db = openDir(t, dir, store.Options{Ahead: 2, RuntimeDir: shm})
	_, err = db.Advance(keys[1], storetest.Mark(14, 0, 1))
	require.ErrorIs(t, err, hwm.ErrMoved)
	require.NoError(t, advanceTo(t, db, keys[1], 15).Wait())
	require.NoError(t, db.Close())
	db = openDir(t, dir)
	require.Equal(t, store.EndedClean, db.Ended().How)
	require.Equal(t, int32(15), markAt(t, db, keys[1]).Level)
	require.Equal(t, int32(14), markAt(t, db, keys[0]).Level, "the floor was lost with the next end")
}

// An end in order costs nothing, and leaves no horizon.
func TestACleanEnd(t *testing.T) {
	dir, shm := newDir(t), tmpfs(t)
	db := openDir(t, dir, store.Options{Ahead: 3, RuntimeDir: shm})
	require.Equal(t, store.EndedNew, db.Ended().How)
	key, late := storetest.Key(1, tezos.Block), storetest.Key(1, tezos.Attestation)
	storetest.Floor(t, db, 10, key, late)
	require.NoError(t, advanceTo(t, db, key, 11).Wait())
	require.NoError(t, advanceTo(t, db, key, 12).Wait())
	_, err := db.Raise(nil)
	require.NoError(t, err)
	require.NoError(t, advanceTo(t, db, late, 12).Wait()) // moves no horizon, and goes along with the end
	require.FileExists(t, db.RuntimeFile())
	require.NoError(t, db.Close())
	left, err := os.ReadDir(shm)
	require.NoError(t, err)
	require.Empty(t, left)
	db = openDir(t, dir)
	require.Equal(t, store.Ending{How: store.EndedClean, Floors: map[hwm.CeilingKey]int32{}}, db.Ended())
	require.Equal(t, storetest.Mark(12, 0, 12), *markAt(t, db, key))
	require.Equal(t, storetest.Mark(12, 0, 12), *markAt(t, db, late))
	require.Empty(t, db.Horizons())
	require.NoError(t, db.Close())
}

// Where the disk has no mark of a kind yet, its horizon covers nothing: after a power cut the kind would have no mark,
// and no floor.
func TestAMarkThatIsNotOnDiskIsNotCovered(t *testing.T) {
	disk := newSlowDisk(t)
	db := openDir(t, newDir(t), store.Options{Ahead: 5, OnCommit: disk.onCommit})
	key, made := storetest.Key(1, tezos.Block), storetest.Key(1, tezos.Attestation)
	storetest.Floor(t, db, 10, key)
	require.NoError(t, advanceTo(t, db, key, 11).Wait())
	disk.held.Store(true)
	raised := make(chan error, 1)
	go func() {
		_, err := db.Raise([]hwm.Row{{Key: made, Mark: hwm.Floor(11, at, hwm.SourceSet)}})
		raised <- err
	}()
	<-disk.arrived
	p := advanceTo(t, db, made, 12)
	require.False(t, returns(t, p), "covered by a horizon, without a mark on disk")
	disk.held.Store(false)
	disk.release <- struct{}{}
	require.NoError(t, <-raised)
	require.NoError(t, p.Wait())
	require.True(t, returns(t, advanceTo(t, db, made, 13)))
}

// A role takes the horizons back in its own write, and what comes after it waits for a horizon of its own.
func TestARoleTakesTheHorizonsBack(t *testing.T) {
	disk := newSlowDisk(t)
	dir := newDir(t)
	db := openDir(t, dir, store.Options{Ahead: 5, OnCommit: disk.onCommit})
	key := storetest.Key(1, tezos.Block)
	storetest.Floor(t, db, 10, key)
	require.NoError(t, advanceTo(t, db, key, 11).Wait())
	require.NoError(t, advanceTo(t, db, key, 12).Wait())
	disk.held.Store(true)
	role := make(chan error, 1)
	go func() {
		role <- db.SetRole(hwm.RoleRecord{Role: hwm.Fenced, Epoch: 1, Owner: db.Instance(), Since: at}, nil)
	}()
	<-disk.arrived // the commit that 12 asked for, or the role's
	require.Eventually(t, func() bool { return len(db.Horizons()) == 0 }, 10*time.Second, time.Millisecond)
	p := advanceTo(t, db, key, 13)
	require.False(t, returns(t, p), "covered by a horizon that a role took back")
	disk.held.Store(false)
	disk.release <- struct{}{}
	require.NoError(t, <-role)
	require.NoError(t, p.Wait())
}

// Lowering a mark takes its key's horizon along, or the next start would raise it again.
func TestLowerTakesTheHorizonAlong(t *testing.T) {
	dir := newDir(t)
	db := openDir(t, dir, store.Options{Ahead: 5})
	key, other := storetest.Key(1, tezos.Block), storetest.Key(1, tezos.Attestation)
	storetest.Floor(t, db, 10, key, other)
	require.NoError(t, advanceTo(t, db, key, 20).Wait())
	require.NoError(t, db.Lower(key, hwm.Floor(12, at, hwm.SourceLowered), "typed wrong"))
	powerCut(t, dir, db)
	db = openDir(t, dir)
	require.Equal(t, int32(12), markAt(t, db, key).Level)
	require.Equal(t, int32(10), markAt(t, db, other).Level)
	require.NoError(t, db.Close())

	// After an unclean end the floor can be lowered, too, and stays where it was put.
	db = openDir(t, dir, store.Options{Ahead: 5})
	require.NoError(t, advanceTo(t, db, key, 20).Wait())
	ck := hwm.CeilingKey{Chain: key.Chain, PKH: key.PKH}
	require.Eventually(t, func() bool { return db.Horizons()[ck] == 25 }, 10*time.Second, time.Millisecond)
	powerCut(t, dir, db)
	db = openDir(t, dir)
	require.Equal(t, int32(25), markAt(t, db, key).Level)
	require.NoError(t, db.Lower(key, hwm.Floor(20, at, hwm.SourceLowered), "the chain's head is there"))
	require.NoError(t, db.Close())
	db = openDir(t, dir)
	require.Equal(t, int32(20), markAt(t, db, key).Level)
	require.Equal(t, int32(25), markAt(t, db, other).Level)
}

// Horizons end where levels do, and at a ceiling.
func TestHorizonsAreBounded(t *testing.T) {
	db := openDir(t, newDir(t), store.Options{Ahead: 100})
	key, capped := storetest.Key(1, tezos.Block), storetest.Key(2, tezos.Block)
	storetest.Floor(t, db, 10, key, capped)
	require.NoError(t, advanceTo(t, db, key, math.MaxInt32-1).Wait())
	require.NoError(t, advanceTo(t, db, key, math.MaxInt32).Wait())
	ck := hwm.CeilingKey{Chain: capped.Chain, PKH: capped.PKH}
	require.NoError(t, db.SetCeiling(ck, hwm.Ceiling{Level: 20, At: at, Source: hwm.SourceSet}))
	require.NoError(t, advanceTo(t, db, capped, 11).Wait())
	require.Equal(t, map[hwm.CeilingKey]int32{{Chain: key.Chain, PKH: key.PKH}: math.MaxInt32, ck: 20}, db.Horizons())
	_, err := db.Advance(capped, storetest.Mark(21, 0, 1))
	require.ErrorIs(t, err, hwm.ErrMoved, "a horizon lifted a ceiling")
}

// What a horizon covers does not leave either once the store has failed, or its file is gone.
func TestNothingIsCoveredByAFileThatIsGone(t *testing.T) {
	for name, harm := range map[string]func(db *store.DB) error{
		"moved away": func(db *store.DB) error { return os.Rename(db.Path(), db.Path()+".away") },
		"cut":        func(db *store.DB) error { return os.Truncate(db.Path(), 4096) },
		"failed":     func(db *store.DB) error { return os.Remove(db.Path()) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			require.NoError(t, store.Create(t.Context(), dir, at))
			db := openDir(t, dir, store.Options{Ahead: 5})
			key := storetest.Key(1, tezos.Block)
			storetest.Floor(t, db, 10, key)
			require.NoError(t, advanceTo(t, db, key, 11).Wait())
			p := advanceTo(t, db, key, 11+1)
			require.NoError(t, p.Wait())
			_, err := db.Raise(nil) // nothing is on its way
			require.NoError(t, err)
			p, err = db.Advance(key, storetest.Mark(12, 1, 1)) // moves no horizon: nothing is written
			require.NoError(t, err)
			require.NoError(t, harm(db))
			if name == "failed" {
				require.ErrorIs(t, storetest.Advance(db, key, storetest.Mark(90, 0, 1)), store.ErrPoisoned)
			}
			require.ErrorIs(t, p.Wait(), store.ErrPoisoned)
			require.NoError(t, refusesAll(db, key))
		})
	}
}

// Without levels ahead there is no horizon, no runtime file, and each request waits for its own commit.
func TestWithoutLevelsAhead(t *testing.T) {
	disk := newSlowDisk(t)
	shm := tmpfs(t)
	dir := newDir(t)
	db := openDir(t, dir, store.Options{RuntimeDir: shm, OnCommit: disk.onCommit})
	key, other := storetest.Key(1, tezos.Block), storetest.Key(1, tezos.Attestation)
	storetest.Floor(t, db, 10, key, other)
	require.NoError(t, advanceTo(t, db, key, 11).Wait())
	disk.held.Store(true)
	p := advanceTo(t, db, other, 11)
	<-disk.arrived
	require.False(t, returns(t, p))
	disk.held.Store(false)
	disk.release <- struct{}{}
	require.NoError(t, p.Wait())
	require.Empty(t, db.Horizons())
	left, err := os.ReadDir(shm)
	require.NoError(t, err)
	require.Empty(t, left)
	powerCut0(t, dir, db)
	db = openDir(t, dir)
	require.Empty(t, db.Ended().Floors)
	require.Equal(t, storetest.Mark(11, 0, 11), *markAt(t, db, other))
}

// powerCut0 is powerCut where there is no runtime file.
func powerCut0(t *testing.T, dir string, db *store.DB) {
	t.Helper()
	file, err := os.ReadFile(db.Path())
	require.NoError(t, err)
	require.NoError(t, db.Abandon())
	require.NoError(t, os.WriteFile(filepath.Join(dir, store.FileName), file, 0o600))
}

// The contract holds with levels ahead, with a runtime file and without.
func TestConformanceAhead(t *testing.T) {
	for name, opt := range map[string]store.Options{
		"ahead": {Ahead: 1}, "ahead, remembered": {Ahead: 2, RuntimeDir: tmpfs(t)},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) (signer.Store, func() signer.Store) {
				dir := newDir(t)
				db := openDir(t, dir, opt)
				return db, func() signer.Store {
					require.NoError(t, db.Close())
					db = openDir(t, dir, opt)
					return db
				}
			})
		})
	}
}

// Many keys and kinds at once, under horizons, with roles and raises in between: what was answered is there after a
// kill.
func TestAheadUnderLoad(t *testing.T) {
	dir, shm := newDir(t), tmpfs(t)
	opt := store.Options{Ahead: 1, RuntimeDir: shm}
	db := openDir(t, dir, opt)
	const keys = 8
	var all sync.WaitGroup
	last := make([]map[tezos.Kind]int32, keys)
	for n := range keys {
		last[n] = map[tezos.Kind]int32{}
		storetest.Floor(t, db, 0, hwm.KeysOf(storetest.Chain, storetest.Key(n, tezos.Block).PKH)...)
	}
	for n := range keys {
		all.Go(func() {
			for level := int32(1); level <= 60; level++ {
				for _, kind := range tezos.Kinds {
					key, mark := storetest.Key(n, kind), storetest.Mark(level, 0, byte(level))
					if err := storetest.Advance(db, key, mark); err != nil {
						t.Error(err)
						return
					}
					last[n][kind] = level
					db.Keep(key, mark.Digest, storetest.Signature(fatal{}, key.PKH.Curve, byte(level)))
				}
				if n == 0 && level%10 == 0 {
					r := db.Role()
					if err := db.SetRole(r, nil); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	require.NoError(t, db.Abandon())
	db = openDir(t, dir, opt)
	require.Equal(t, store.EndedKilled, db.Ended().How, db.Ended().Why)
	for n := range keys {
		for kind, level := range last[n] {
			mark := markAt(t, db, storetest.Key(n, kind))
			require.Equal(t, level, mark.Level)
			require.False(t, mark.Signature.IsZero())
		}
	}
}
