package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// patience is how long a process may take to become ready, or to end.
const patience = time.Minute

// Process is a running program.
type Process struct {
	Log string // output of all runs, one after the other

	cmd   *exec.Cmd
	ended chan error
	asked atomic.Bool // the end of this run is wanted
}

// Spawn starts a program with its arguments. The output goes to a file.
func Spawn(log string, args ...string) (*Process, error) {
	p := &Process{Log: log}
	err := p.start(exec.Command(args[0], args[1:]...), (*exec.Cmd).Start) //nolint:gosec,noctx // ours; Kill or Stop end it
	return p, err
}

func (p *Process) start(cmd *exec.Cmd, start func(*exec.Cmd) error) error {
	log, err := os.OpenFile(p.Log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the process has its own descriptor
	cmd.Stdout, cmd.Stderr = log, log
	if err := start(cmd); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	p.cmd, p.ended = cmd, ended
	p.asked.Store(false)
	return nil
}

// SlowDisk is the front of a command line: each sync of the command waits first. strace detaches itself (-D), so the
// started process is the command.
func SlowDisk(wait time.Duration) []string {
	return []string{
		"strace", "-D", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fsync,fdatasync",
		"-e", fmt.Sprintf("inject=fsync,fdatasync:delay_enter=%d", wait.Microseconds()),
	}
}

// Await looks until f says yes, as long as the process lives.
func (p *Process) Await(ctx context.Context, f func(context.Context) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !f(ctx) {
		select {
		case err := <-p.ended:
			p.ended <- err
			return fmt.Errorf("it ended before it was ready: %w%s", err, p.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("it is not ready: %w%s", ctx.Err(), p.lastWords())
		case <-tick.C:
		}
	}
	return nil
}

// Kill sends SIGKILL, and waits for the end. ToldToEnd is true from before the signal on.
func (p *Process) Kill() error {
	p.asked.Store(true)
	err := p.cmd.Process.Kill()
	return errors.Join(err, p.killed(<-p.ended))
}

// killed wants a process to have ended by a signal.
func (p *Process) killed(end error) error {
	var exit *exec.ExitError
	if !errors.As(end, &exit) || exit.ExitCode() != -1 {
		return fmt.Errorf("it ended before it was killed: %w%s", end, p.lastWords())
	}
	return nil
}

// AwaitKilled waits until somebody else has killed the process, as Kill does.
func (p *Process) AwaitKilled(ctx context.Context) error {
	p.asked.Store(true)
	select {
	case end := <-p.ended:
		return p.killed(end)
	case <-ctx.Done():
		return fmt.Errorf("it was not killed: %w", ctx.Err())
	}
}

// EndAnyhow kills the process, unless the process has ended alone.
func (p *Process) EndAnyhow() error {
	p.asked.Store(true)
	err := p.cmd.Process.Kill()
	if end := <-p.ended; end == nil || errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// AwaitExit waits until the process has ended by itself, with a status.
func (p *Process) AwaitExit(ctx context.Context, status int) error {
	p.asked.Store(true)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case end := <-p.ended:
		var exit *exec.ExitError
		if !errors.As(end, &exit) || exit.ExitCode() != status {
			return fmt.Errorf("it did not end with status %d: %w%s", status, end, p.lastWords())
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("it did not end: %w%s", ctx.Err(), p.lastWords())
	}
}

// PID is the process's.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// ToldToEnd tells whether a lost connection is no surprise for a client.
func (p *Process) ToldToEnd() bool { return p.asked.Load() }

// Stop ends the process in order.
func (p *Process) Stop() error {
	p.asked.Store(true)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case end := <-p.ended:
		return end
	case <-time.After(patience):
		return errors.Join(fmt.Errorf("it did not end within %s, and was killed%s", patience, p.lastWords()), p.Kill())
	}
}

// lastWords are the end of the log, for an error.
func (p *Process) lastWords() string {
	text, err := os.ReadFile(p.Log)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return "\n" + strings.Join(lines[max(0, len(lines)-10):], "\n")
}
