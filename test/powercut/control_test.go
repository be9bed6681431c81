//go:build powercut

package powercut_test

import (
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

	"highwater/internal/softkey"
	"highwater/internal/tezos"
)

// control is the signer that this suite must find guilty: it keeps its marks in a JSON file that it writes under another name and
// renames before it answers, as signers do, but it never syncs. With sync it does, and must be found innocent.
type control struct {
	dir  string
	sync bool
	keys map[string]*softkey.Key

	mu    sync.Mutex
	marks map[string]controlMark
}

type controlMark struct {
	Level, Round int32
	Digest       string
	Signature    string
}

func newControl(dir string, sync bool, n int) (*control, error) {
	c := &control{dir: dir, sync: sync, keys: map[string]*softkey.Key{}, marks: map[string]controlMark{}}
	for i := range n {
		key, err := softkey.New(tezos.Ed25519, fmt.Appendf(nil, "the control's key number %03d", i))
		if err != nil {
			return nil, err
		}
		c.keys[key.PublicKey().Hash().String()] = key
	}
	text, err := os.ReadFile(c.path())
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	if err = json.Unmarshal(text, &c.marks); err != nil {
		c.marks = map[string]controlMark{} // a fresh start from a file that is not there in full: the same mistake, and as common
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

func (c *control) save() error {
	text, err := json.Marshal(c.marks)
	if err != nil {
		return err
	}
	f, err := os.Create(c.path() + ".new")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if c.sync {
		err = errors.Join(err, f.Sync())
	}
	if err = errors.Join(err, f.Close(), os.Rename(f.Name(), c.path())); err != nil || !c.sync {
		return err
	}
	dir, err := os.Open(c.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
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
	controlSync   = "POWERCUT_CONTROL_SYNC"
	controlKeys   = 4
)

var (
	binary = "" // the program
	cuts   = 0
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(controlDir); dir != "" {
		c, err := newControl(dir, os.Getenv(controlSync) != "", controlKeys)
		if err == nil {
			err = http.ListenAndServe(os.Getenv(controlListen), c)
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	flag.StringVar(&binary, "binary", "bin/highwater", "the program under test")
	flag.IntVar(&cuts, "cuts", 30, "how often the power is cut on each file system")
	flag.Parse()
	os.Exit(m.Run())
}

// newControlProcess is the control as a process, with its marks in dir.
func newControlProcess(t *testing.T, dir string, sync bool) *process {
	t.Helper()
	address := freeAddress(t)
	env := append(os.Environ(), controlDir+"="+dir, controlListen+"="+address)
	if sync {
		env = append(env, controlSync+"=1")
	}
	p := &process{
		t: t, base: "http://" + address, ready: "http://" + address + "/authorized_keys",
		command: func() *exec.Cmd {
			c := command("/proc/self/exe")
			c.Env = env
			return c
		},
	}
	t.Cleanup(p.kill)
	return p
}
