package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"highwater/internal/baker"
	"highwater/internal/config"
	"highwater/internal/tezos"
)

const sharedConfiguration = `state_dir = %q
chain = %q
node = %q
[server]
listen = %q
known_keys = true
[admin]
socket = %q
[monitor]
listen = %q
[register]
endpoints = [%q]
ahead = %d
priority = %d
[[device]]
name = "emulated"
kind = "ledger"
transport = "sim"
[device.sim]
seed = "the demo's seed: worth nothing"
latency = "5ms"
`

// machine is one of three machines: a process of this program, with a directory, and a baker.
type machine struct {
	dir, listen string
	client      *baker.Client
	process     *exec.Cmd // nil: the machine is dead
}

func newMachine(ctx context.Context, dir, node, etcd string, priority int) (*machine, error) {
	var addresses [2]string
	for i := range addresses {
		var err error
		if addresses[i], err = unused(ctx); err != nil {
			return nil, err
		}
	}
	text := fmt.Sprintf(sharedConfiguration, filepath.Join(dir, "state"), chain, node, addresses[0],
		filepath.Join(dir, "admin.sock"), addresses[1], etcd, demoAhead, priority)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	m := &machine{dir: dir, listen: addresses[0], client: baker.New("http://"+addresses[0], false)}
	return m, os.WriteFile(m.config(), []byte(text), 0o600)
}

func (m *machine) config() string { return filepath.Join(m.dir, "highwater.toml") }

// command is this program with the machine's configuration.
func (m *machine) command(ctx context.Context, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := exec.CommandContext(ctx, self, args...) //nolint:gosec // this program
	c.Args[0] = os.Args[0]
	c.Env = append(os.Environ(), config.Env+"="+m.config())
	return c, nil
}

func (m *machine) do(ctx context.Context, args ...string) error {
	c, err := m.command(ctx, args...)
	if err != nil {
		return err
	}
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("highwater %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// start starts the machine's signer.
func (m *machine) start(ctx context.Context) error {
	c, err := m.command(context.WithoutCancel(ctx), "serve")
	if err != nil {
		return err
	}
	m.process = c
	return launch(c, filepath.Join(m.dir, "log"))
}

// kill ends the machine's signer at once.
func (m *machine) kill() {
	if m.process != nil {
		end(m.process)
		m.process = nil
	}
}

// key waits for the machine's key.
func (m *machine) key(ctx context.Context) (*tezos.PublicKey, error) {
	var key *tezos.PublicKey
	err := until(ctx, func() error {
		known, err := m.client.KnownKeys(ctx)
		if err == nil && len(known) == 0 {
			err = errors.New("the device shows no key")
		}
		if err == nil {
			key, err = m.client.PublicKey(ctx, known[0])
		}
		return err
	})
	return key, err
}

// startEtcd starts a register of one member, and gives its address.
func startEtcd(ctx context.Context, program, dir string) (*exec.Cmd, string, error) {
	client, err := unused(ctx)
	if err != nil {
		return nil, "", err
	}
	peer, err := unused(ctx)
	if err != nil {
		return nil, "", err
	}
	client, peer = "http://"+client, "http://"+peer
	c := exec.CommandContext(context.WithoutCancel(ctx), program, "--name", "demo", "--data-dir", filepath.Join(dir, "etcd"), //nolint:gosec // found on the path
		"--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
		"--initial-advertise-peer-urls", peer, "--initial-cluster", "demo="+peer)
	return c, client, launch(c, filepath.Join(dir, "etcd.log"))
}

// launch starts a process, and keeps its words in a file.
func launch(c *exec.Cmd, log string) error {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600) //nolint:gosec // in the demo's own directory
	if err != nil {
		return err
	}
	c.Stdout, c.Stderr = f, f
	return errors.Join(c.Start(), f.Close())
}

// end kills a process, and waits for its end.
func end(c *exec.Cmd) {
	if c == nil || c.Process == nil {
		return
	}
	_ = c.Process.Kill() // the process may have ended by itself
	_ = c.Wait()
}

// until repeats f until f succeeds, for some seconds.
func until(ctx context.Context, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// startTime bounds the wait for a process of the demo.
const startTime = 30 * time.Second

// unused is a loopback address without a listener.
func unused(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
