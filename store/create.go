package store

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
	"highwater/store/disk"
	"highwater/store/layout"
)

// Modes of new files: the database holds the instance's private key.
const (
	dirMode = 0o700
)

// Create makes the state directory, if need be, and an empty database with a new identity, in standby. An existing
// database is never overwritten. The file is complete and synced under a temporary name before it gets its own: power
// loss leaves all or nothing.
func Create(ctx context.Context, dir string, now time.Time) error {
	made := missing(dir)
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return err
	}
	lock, err := disk.LockDir(ctx, dir, openTimeout, false)
	if err != nil {
		return disk.Failing(err)
	}
	err = createLocked(dir, now)
	for _, d := range made {
		err = errors.Join(err, disk.SyncDir(filepath.Dir(d)))
	}
	return disk.Failing(errors.Join(err, lock.Release()))
}

// missing lists a directory (its name may never have been synced), and the missing directories above.
func missing(dir string) []string {
	dir = filepath.Clean(dir)
	out := []string{dir}
	for above := filepath.Dir(dir); above != dir; dir, above = above, filepath.Dir(above) {
		if _, err := os.Stat(above); err == nil {
			break
		}
		out = append(out, above)
	}
	return out
}

func createLocked(dir string, now time.Time) error {
	path, temporary := filepath.Join(dir, FileName), filepath.Join(dir, FileName+".new")
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%w: %s", ErrExists, path)
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Remove(temporary); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err // the rest of a creation that was cut short
	}
	if err := writeNew(temporary, now); err != nil {
		return errors.Join(err, removeIfThere(temporary))
	}
	// A link fails where a rename would overwrite.
	if err := os.Link(temporary, path); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return errors.Join(os.Remove(temporary), disk.SyncDir(dir))
}

func writeNew(path string, now time.Time) error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	db, err := bolt.Open(path, disk.FileMode, &bolt.Options{
		Timeout: openTimeout, NoFreelistSync: true,
		FreelistType: bolt.FreelistMapType,
	})
	if err != nil {
		return err
	}
	role := hwm.RoleRecord{Role: hwm.Standby, Owner: hwm.InstanceID(public), Since: now, Why: "created"}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range append(layout.Buckets[:len(layout.Buckets):len(layout.Buckets)], layout.BucketHorizons) {
			if _, bucketErr := tx.CreateBucket(name); bucketErr != nil {
				return bucketErr
			}
		}
		meta := tx.Bucket(layout.BucketMeta)
		return errors.Join(
			meta.Put(layout.MetaSchema, hwm.Seal(layout.MetaSchema, []byte(layout.Schema))),
			meta.Put(layout.MetaInstance, hwm.Seal(layout.MetaInstance, private.Seed())),
			meta.Put(layout.MetaRole, role.Encode(layout.MetaRole)),
			meta.Put(layout.MetaSession, layout.Session{Clean: true}.Encode()),
			layout.PutSeal(tx),
		)
	})
	return errors.Join(err, db.Sync(), db.Close())
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
