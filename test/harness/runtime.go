package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// tmpfs is where every Linux has memory as a directory.
const tmpfs = "/dev/shm"

// NewRuntime makes a runtime directory on a tmpfs. The caller removes it.
func NewRuntime() (string, error) { return os.MkdirTemp(tmpfs, "highwater-") }

// Store is the store's part of a configuration.
type Store struct {
	Ahead   int    // levels ahead; with 0 each signature waits for its own commit
	Runtime string // the runtime directory, on a tmpfs; empty: the program's default
	Unknown bool   // for a build without a [store] section: nothing is said
}

func (s Store) text() string {
	if s.Unknown {
		return ""
	}
	text := fmt.Sprintf("\n[store]\nahead = %d\n", s.Ahead)
	if s.Runtime != "" {
		text += fmt.Sprintf("runtime_dir = %q\n", s.Runtime)
	}
	return text
}

// Use makes the next start use another build and another store.
func (d *Daemon) Use(binary string, store Store) error {
	d.binary = binary
	return os.WriteFile(d.config, []byte(d.rest+store.text()), 0o600)
}

// BuildForgetful builds a control: the program with a store that forgets the horizons of the last run.
func BuildForgetful(ctx context.Context, out string) error {
	_, file, _, _ := runtime.Caller(0)
	script := filepath.Join(filepath.Dir(file), "forgetful.sh")
	text, err := exec.CommandContext(ctx, script, out).CombinedOutput() //nolint:gosec // ours
	if err != nil {
		return fmt.Errorf("%w: %s", err, text)
	}
	return nil
}
