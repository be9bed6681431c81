//go:build powercut

package powercut_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"highwater/internal/softkey"
	"highwater/internal/tezos"
	"highwater/test/harness"
)

// control is the signer that this suite must find guilty, or innocent, by how it writes.
type control struct {
	dir  string
	way  string
	keys map[string]*softkey.Key

	mu    sync.Mutex
	marks map[string]controlMark
}

// The ways of a control to keep its marks, in one JSON file.
const (
	renames = "renames" // writes it under another name and renames, as signers do, and never syncs
	syncs   = "syncs"   // the same, and syncs
	// Overwrites it in place, past the page cache: the disk is given everything, and never asked to flush it.
	hands = "hands"
)

type controlMark struct {
	Level, Round int32
	Digest       string
	Signature    string
}

func newControl(dir, way string, n int) (*control, error) {
	c := &control{dir: dir, way: way, keys: map[string]*softkey.Key{}, marks: map[string]controlMark{}}
	for i := range n {
		key, err := softkey.New(tezos.Ed25519, fmt.Appendf(nil, "the control's key number %03d", i))
		if err != nil {
			return nil, err
		}
		c.keys[key.PublicKey().Hash().String()] = key
	}
	text, err := os.ReadFile(c.path())
	if errors.Is(err, fs.ErrNotExist) {
		err = c.make()
		return c, err
	}
	if err != nil {
		return nil, err
	}
	if err = json.Unmarshal(text, &c.marks); err != nil {
		// a fresh start from a file that is not there in full: the same mistake, and as common
		c.marks = map[string]controlMark{}
	}
	return c, nil
}

func (c *control) path() string { return filepath.Join(c.dir, "watermarks.json") }

func (c *control) sign(key *softkey.Key, payload []byte) (sig string, err error) {
	req, err := tezos.Decode(key.Curve(), payload)
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	name := key.PublicKey().Hash().String() + " " + req.Kind.String()
	have, digest := c.marks[name], hex.EncodeToString(req.Digest[:])
	switch {
	case have.Level == req.Level && have.Round == req.Round && have.Digest == digest:
		return have.Signature, nil
	case req.Level < have.Level, req.Level == have.Level && req.Round <= have.Round:
		return "", errors.New("not above the watermark")
	}
	sig = key.Sign(payload).String()
	c.marks[name] = controlMark{req.Level, req.Round, digest, sig}
	return sig, c.save()
}

// make makes the file, for a control that overwrites it: with blocks of its own, and durably.
func (c *control) make() error {
	if c.way != hands {
		return nil
	}
	f, err := os.Create(c.path())
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, sector))
	return errors.Join(err, f.Sync(), f.Close(), c.syncDir())
}

func (c *control) syncDir() error {
	dir, err := os.Open(c.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (c *control) save() error {
	text, err := json.Marshal(c.marks)
	if err != nil {
		return err
	}
	if c.way == hands {
		return c.hand(text)
	}
	f, err := os.Create(c.path() + ".new")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if c.way == syncs {
		err = errors.Join(err, f.Sync())
	}
	if err = errors.Join(err, f.Close(), os.Rename(f.Name(), c.path())); err != nil || c.way != syncs {
		return err
	}
	return c.syncDir()
}

// hand gives the disk one sector, at an address in memory that O_DIRECT is content with.
func (c *control) hand(text []byte) error {
	if len(text) > sector {
		return fmt.Errorf("%d bytes of marks: more than a sector", len(text))
	}
	block, err := unix.Mmap(-1, 0, sector, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	copy(block, append(text, bytes.Repeat([]byte{' '}, sector-len(text))...))
	f, err := os.OpenFile(c.path(), os.O_WRONLY|unix.O_DIRECT, 0)
	if err != nil {
		return errors.Join(err, unix.Munmap(block))
	}
	_, err = f.WriteAt(block, 0)
	return errors.Join(err, f.Close(), unix.Munmap(block))
}

// ServeHTTP answers what the octez client asks.
func (c *control) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/keys/")
	key := c.keys[name]
	switch {
	case r.URL.Path == "/authorized_keys":
		fmt.Fprint(w, "{}")
	case r.URL.Path == "/known_keys":
		var all []string
		for pkh := range c.keys {
			all = append(all, pkh)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"known_keys": all})
	case key == nil:
		http.NotFound(w, r)
	case r.Method == http.MethodGet:
		fmt.Fprintf(w, `{"public_key":%q}`, key.PublicKey())
	default:
		body, _ := io.ReadAll(r.Body)
		payload, err := hex.DecodeString(strings.Trim(string(body), "\"\n"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		sig, err := c.sign(key, payload)
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		fmt.Fprintf(w, `{"signature":%q}`, sig)
	}
}

// The environment with which this test binary is the control.
const (
	controlDir    = "POWERCUT_CONTROL_DIR"
	controlListen = "POWERCUT_CONTROL_LISTEN"
	controlWay    = "POWERCUT_CONTROL_WAY"
	controlKeys   = 4
)

var (
	binary    = "" // the program
	forgetful = "" // the program as test/harness/forgetful.sh builds it
	cuts      = 0
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(controlDir); dir != "" {
		c, err := newControl(dir, os.Getenv(controlWay), controlKeys)
		if err == nil {
			err = http.ListenAndServe(os.Getenv(controlListen), c)
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	flag.StringVar(&binary, "binary", "bin/highwater", "the program under test")
	flag.StringVar(&forgetful, "forgetful", "bin/highwater-forgetful", "the program that forgets its horizons: a control")
	flag.IntVar(&cuts, "cuts", 20, "how often the power is cut on each disk: each file system, with and without a cache")
	flag.Parse()
	os.Exit(m.Run())
}

// newControlProcess is the control as a process, with its marks in dir.
func newControlProcess(t *testing.T, dir, way string) *process {
	t.Helper()
	address := harness.Address(t)
	env := append(os.Environ(), controlDir+"="+dir, controlListen+"="+address, controlWay+"="+way)
	p := &process{
		t: t, base: "http://" + address, ready: "http://" + address + "/authorized_keys",
		log: filepath.Join(t.TempDir(), "log"),
		command: func() *exec.Cmd {
			c := command("/proc/self/exe")
			c.Env = env
			return c
		},
	}
	t.Cleanup(p.kill)
	return p
}
