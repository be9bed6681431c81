package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"path/filepath"

	"highwater/hwm"
	"highwater/store/bootmarks"
)

// runtimePath is the file of this state directory in the runtime directory, empty without a runtime directory. The
// name is made of the instance and of the state directory's path: two state directories can share a runtime
// directory.
func (db *DB) runtimePath() string {
	if db.runtimeDir == "" {
		return ""
	}
	dir := filepath.Dir(db.path)
	if direct, err := filepath.EvalSymlinks(dir); err == nil {
		dir = direct
	}
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	id := db.Instance()
	sum := sha256.Sum256(append(id[:], dir...))
	return filepath.Join(db.runtimeDir, "marks-"+hex.EncodeToString(sum[:8]))
}

// beginRuntime makes the file of this run, with every mark in it. Without the file the run signs all the same: a kill
// costs as much as a power cut. The caller holds db.mu.
func (db *DB) beginRuntime() {
	path := db.runtimePath()
	if path == "" || db.ahead == 0 {
		return
	}
	r, err := newRuntime(path, db.session.Session, db.marks)
	if err != nil {
		db.noRuntime(err)
		return
	}
	db.runtime = r
}

// newRuntime makes a file with marks, or no file at all: the first mark that cannot be written ends the attempt.
func newRuntime(path string, s bootmarks.Session, marks map[hwm.Key]*entry) (*bootmarks.File, error) {
	r, err := bootmarks.Create(path, s)
	if err != nil {
		return nil, err
	}
	for _, e := range marks {
		if err = r.Put(e.key, e.dbKey, &e.mark); err != nil {
			return nil, errors.Join(err, r.Remove())
		}
	}
	return r, nil
}

// remember writes a mark into the runtime file, if any. False: a start after a kill would find an older mark there,
// so the exact mark must be on disk before anything leaves. The caller holds db.mu.
func (db *DB) remember(e *entry) bool {
	if db.runtime == nil {
		return true
	}
	if err := db.runtime.Put(e.key, e.dbKey, &e.mark); err != nil {
		db.noRuntime(err)
		return false
	}
	return true
}

// noRuntime says why the runtime file cannot be used: until the file can be used, a killed process costs as much as a
// power cut, and signatures wait for the disk.
func (db *DB) noRuntime(err error) {
	db.unsaid.say(slog.LevelWarn, "runtime file not written", "error", err.Error())
}

// endRuntime lets the file go. The file goes away when the run ended in order; else the next start looks into the file.
func (db *DB) endRuntime() {
	if err := db.letRuntimeGo(); err != nil {
		db.log.Warn("runtime file not removed", "error", err.Error())
	}
}

func (db *DB) letRuntimeGo() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.runtime == nil {
		return nil
	}
	r := db.runtime
	db.runtime = nil
	if db.poisoned != nil {
		return r.Close()
	}
	return r.Remove()
}
