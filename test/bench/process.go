package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// slowSync is what strace adds to every sync, in microseconds.
const slowSync = 2000

// slowDisk is the command that another one is started with to give it a slow disk.
func slowDisk() []string {
	return []string{
		"strace", "-D", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fsync,fdatasync",
		"-e", "inject=fsync,fdatasync:delay_exit=" + strconv.Itoa(slowSync),
	}
}

// canSlowDisk tells why no process can be given a slow disk here, or nil.
func canSlowDisk(ctx context.Context) error {
	if _, err := exec.LookPath("strace"); err != nil {
		return errors.New("strace is not installed")
	}
	args := append(slowDisk(), "true")
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput() //nolint:gosec // fixed
	if err != nil {
		return fmt.Errorf("strace is not permitted: %s", firstLine(out))
	}
	return nil
}

func firstLine(b []byte) string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(b), []byte("\n"))
	return string(line)
}

// process is a signer's process.
type process struct {
	cmd   *exec.Cmd
	log   string
	ended chan error
}

// spawn starts a process, with a slow disk if asked for; its output goes to a file, as a service's does.
func spawn(dir string, slow bool, name string, args ...string) (*process, error) {
	if slow {
		args = append(append(slowDisk()[1:], name), args...)
		name = slowDisk()[0]
	}
	log, err := os.Create(filepath.Join(dir, "log")) //nolint:gosec // our own directory
	if err != nil {
		return nil, err
	}
	defer log.Close()                  //nolint:errcheck // the process has it
	cmd := exec.Command(name, args...) //nolint:gosec,noctx // it ends by stop
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, log: log.Name(), ended: make(chan error, 1)}
	go func() { p.ended <- cmd.Wait() }()
	return p, nil
}

// stop ends the process and waits for it.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-p.ended:
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() == -1 {
			return nil // by the signal
		}
		return err
	case <-time.After(30 * time.Second):
		return errors.Join(errors.New("it did not end within 30 s and was killed"), p.cmd.Process.Kill())
	}
}

// waitReady waits until url is answered with 200, and tells how long after start that was.
func (p *process) waitReady(ctx context.Context, url string, start time.Time) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := get(ctx, url); err == nil {
			return time.Since(start), nil
		}
		select {
		case err := <-p.ended:
			p.ended <- err
			text, _ := os.ReadFile(p.log) // only for a message
			return 0, fmt.Errorf("it ended before it was ready (%w): %s", err, bytes.TrimSpace(text))
		case <-ctx.Done():
			return 0, fmt.Errorf("%s does not answer", url)
		case <-tick.C:
		}
	}
}

func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", resp.Status, firstLine(body))
	}
	return body, nil
}

// freeAddress is an address on which nobody listens.
func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// startFloor starts a floor with n keys in a new directory under dir.
func startFloor(ctx context.Context, dir, name string, n int, slow bool) (*contender, error) {
	own, err := os.MkdirTemp(dir, name+"-")
	if err != nil {
		return nil, err
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p, err := spawn(own, slow, self, "-floor", name, "-dir", own, "-listen", address, "-keys", strconv.Itoa(n))
	if err != nil {
		return nil, err
	}
	c := &contender{name: name, base: "http://" + address, process: p}
	if _, err = p.waitReady(ctx, c.base+"/authorized_keys", time.Now()); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	keys, err := floorKeys(n)
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	for _, k := range keys {
		c.keys = append(c.keys, contenderKeyOf(k.PublicKey()))
	}
	return c, nil
}

// metrics are the numbers of a /metrics page, summed over their labels.
type metrics map[string]float64

func readMetrics(ctx context.Context, monitor string) (metrics, error) {
	page, err := get(ctx, monitor+"/metrics")
	if err != nil {
		return nil, err
	}
	return parseMetrics(string(page))
}

func parseMetrics(page string) (metrics, error) {
	out := metrics{}
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		cut := strings.LastIndexByte(line, ' ')
		if cut < 0 {
			return nil, fmt.Errorf("not a metric: %q", line)
		}
		v, err := strconv.ParseFloat(line[cut+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("not a metric: %q: %w", line, err)
		}
		name, _, _ := strings.Cut(line[:cut], "{")
		out[name] += v
	}
	return out, nil
}

// since gives what was added.
func (m metrics) since(before metrics) metrics {
	out := metrics{}
	for k, v := range m {
		out[k] = v - before[k]
	}
	return out
}
