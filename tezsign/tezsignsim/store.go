package tezsignsim

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"highwater/internal/softkey"
	"highwater/internal/tezos"
)

// store is the gadget's keystore while its program runs.
type store struct {
	disk  files
	opts  *Options
	watch *watch

	mu     sync.Mutex
	dead   bool // the power went: no file is written any more
	master *master
	keys   []*key      // sorted by alias
	tries  []time.Time // unlock and delete attempts of the last 30 s
	lines  []string    // the log, newest last
}

// master is master.json.
type master struct {
	Deterministic bool   `json:"deterministic"`
	Check         string `json:"check"` // tells a right passphrase
	// Next is the creation index of the next key. No index is used twice, not even after its key was deleted.
	Next uint32 `json:"next"`
	// Unnamed counts the keys made without an alias: key1, key2, ….
	Unnamed int `json:"unnamed"`
}

// keyFile is a key's file on the card.
type keyFile struct {
	Index uint32 `json:"index"` // the creation index, from which the key is derived; the alias does not matter
}

// key is one key. The fields below mu are the program's memory, lost with the power.
type key struct {
	alias string
	soft  *softkey.Key

	mu        sync.Mutex
	known     bool // to the signing path: made or unlocked since the power came
	unlocked  bool
	corrupted bool
	marks     marks
	pop       string // proof of possession; made when first asked for
}

const (
	masterName = "master.json"
	keySuffix  = ".key"
)

var aliasForm = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)

// fold is the gadget's form of an alias.
func fold(alias string) string { return strings.ToLower(strings.TrimSpace(alias)) }

func newStore(disk files, opts *Options, w *watch) (*store, error) {
	s := &store{disk: disk, opts: opts, watch: w}
	b, err := disk.read(masterName)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		s.master = new(master)
		if err = json.Unmarshal(b, s.master); err != nil {
			return nil, fmt.Errorf("%s: %w", masterName, err)
		}
	}
	names, err := disk.list("keys/")
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		alias, ok := strings.CutSuffix(strings.TrimPrefix(n, "keys/"), keySuffix)
		if !ok {
			continue
		}
		b, err := disk.read(n)
		if err != nil {
			return nil, err
		}
		var f keyFile
		if err := json.Unmarshal(b, &f); err != nil {
			return nil, fmt.Errorf("%s: %w", n, err)
		}
		if err := s.add(alias, f.Index); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// add puts a key of the card into the list.
func (s *store) add(alias string, index uint32) error {
	seed := sha256.Sum256(fmt.Appendf(nil, "tezsignsim/%s/%d", s.opts.Seed, index))
	soft, err := softkey.New(tezos.BLS12381, seed[:])
	if err != nil {
		return err
	}
	s.keys = append(s.keys, &key{alias: alias, soft: soft, marks: marks{}})
	slices.SortFunc(s.keys, func(a, b *key) int { return strings.Compare(a.alias, b.alias) })
	return nil
}

// provision makes and unlocks the keys of a demonstration.
func (s *store) provision(aliases []string, passphrase string) error {
	if len(aliases) == 0 {
		return nil
	}
	if s.master == nil {
		if err := s.initMaster(true, []byte(passphrase)); err != nil {
			return err
		}
	}
	for _, a := range aliases {
		a = fold(a)
		if !aliasForm.MatchString(a) {
			return fmt.Errorf("%q is not an alias", a)
		}
		if s.find(a) == nil {
			if err := s.create(a); err != nil {
				return err
			}
		}
		if text := s.unlockKey(s.find(a), []byte(passphrase), 0); text != "" {
			return fmt.Errorf("unlock %s: %s", a, text)
		}
	}
	return nil
}

// initMaster makes the master file. A software seed stands in for the encrypted seed.
func (s *store) initMaster(deterministic bool, passphrase []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saveMaster(master{Deterministic: deterministic, Check: check(passphrase)})
}

// saveMaster is called with s.mu held.
func (s *store) saveMaster(m master) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := s.disk.write(masterName, b); err != nil {
		return err
	}
	s.master = &m
	return nil
}

func check(passphrase []byte) string {
	sum := sha256.Sum256(append([]byte("tezsignsim passphrase "), passphrase...))
	return hex.EncodeToString(sum[:])
}

func (s *store) right(passphrase []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.master != nil && s.master.Check == check(passphrase)
}

// create makes a key, known and locked. The gadget is initialised.
func (s *store) create(alias string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return errPower
	}
	next := *s.master
	f := keyFile{Index: next.Next}
	next.Next++
	if err := s.saveMaster(next); err != nil { // first: losing an index is better than using an index twice
		return err
	}
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	if err := s.disk.write("keys/"+alias+keySuffix, b); err != nil {
		return err
	}
	if err := saveMarks(s.disk, alias, marks{}); err != nil {
		return err
	}
	if err := s.add(alias, f.Index); err != nil {
		return err
	}
	for _, k := range s.keys {
		if k.alias == alias {
			k.known = true
		}
	}
	return nil
}

var errPower = errors.New("the power went")

// nextName is the alias for a key without one. The counter goes on when a key is deleted; a taken name is skipped.
func (s *store) nextName() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := *s.master
	for {
		next.Unnamed++
		name := fmt.Sprintf("key%d", next.Unnamed)
		if !slices.ContainsFunc(s.keys, func(k *key) bool { return k.alias == name }) {
			return name, s.saveMaster(next)
		}
	}
}

func (s *store) find(alias string) *key {
	alias = fold(alias)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys {
		if k.alias == alias {
			return k
		}
	}
	return nil
}

func (s *store) byHash(tz4 string) *key {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys {
		if k.soft.PublicKey().Hash().String() == tz4 {
			return k
		}
	}
	return nil
}

func (s *store) all() []*key {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.keys)
}

// die makes the card unwritable: the power went.
func (s *store) die() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = true
}

// save writes a key's marks to the card.
func (s *store) save(alias string, m marks) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return errPower
	}
	return saveMarks(s.disk, alias, m)
}

// unlockKey returns the gadget's error text, or nothing. Like the gadget, unlockKey reads the state before taking the
// key: unlocking an unlocked key installs an old state over the state of a signature just made.
func (s *store) unlockKey(k *key, passphrase []byte, cost time.Duration) string {
	m, corrupted, err := loadMarks(s.disk, k.alias)
	time.Sleep(cost)
	if !s.right(passphrase) || s.watch.isSpoiled(k.alias) {
		return "bad password or corrupted key (unwrap)"
	}
	if err != nil {
		return err.Error()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.unlocked {
		s.watch.violation("unlock of the unlocked key %s", k.alias)
	}
	k.known, k.unlocked, k.corrupted, k.marks = true, true, corrupted, m.clone()
	return ""
}

// attempt counts an unlock or delete, and returns the time to wait after too many.
func (s *store) attempt() (wait time.Duration) {
	const most, window = 5, 30 * time.Second
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opts.Now()
	for len(s.tries) > 0 && now.Sub(s.tries[0]) >= window {
		s.tries = s.tries[1:]
	}
	if len(s.tries) >= most {
		return window - now.Sub(s.tries[0])
	}
	s.tries = append(s.tries, now)
	return 0
}

// log keeps a line in the gadget's form, and forgets the oldest.
func (s *store) log(level slog.Level, msg string, args ...any) {
	const most = 1000
	line := formatLine(s.opts.Now(), level, msg, args...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.lines) == most {
		s.lines = s.lines[1:]
	}
	s.lines = append(s.lines, line)
}

func (s *store) lastLines(n int) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lines[max(0, len(s.lines)-n):])
}
