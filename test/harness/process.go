package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
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
	ended chan struct{} // closed at the end of this run
	end   error         // of this run, once ended is closed
	asked atomic.Bool   // the end of this run is wanted
}

// Spawn starts a program with its arguments. The output goes to a file.
func Spawn(log string, args ...string) (*Process, error) {
	return Host{}.Spawn(log, args...)
}

// Launch starts a command, which needs no context. Output without a reader of its own goes to a new file.
func Launch(log string, cmd *exec.Cmd) (*Process, error) { return Host{}.launch(log, cmd) }

// Spawn starts a program on the host, as the function Spawn does.
func (h Host) Spawn(log string, args ...string) (*Process, error) {
	return h.launch(log, exec.Command(args[0], args[1:]...)) //nolint:gosec,noctx // ours; Kill or Stop end it
}

func (h Host) launch(log string, cmd *exec.Cmd) (*Process, error) {
	if err := os.RemoveAll(log); err != nil {
		return nil, err
	}
	p := &Process{Log: log}
	err := p.start(cmd, h)
	return p, err
}

func (p *Process) start(cmd *exec.Cmd, host Host) error {
	log, err := os.OpenFile(p.Log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the process has its own descriptor
	cmd.Stderr = log
	if cmd.Stdout == nil {
		cmd.Stdout = log
	}
	if err := host.start(cmd); err != nil {
		return err
	}
	ended := make(chan struct{})
	p.cmd, p.ended = cmd, ended
	p.asked.Store(false)
	go func() {
		p.end = cmd.Wait()
		close(ended)
	}()
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
		case <-p.ended:
			return fmt.Errorf("the process ended before it was ready: %w%s", p.end, p.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("the process is not ready: %w%s", ctx.Err(), p.lastWords())
		case <-tick.C:
		}
	}
	return nil
}

// Kill sends SIGKILL, and waits for the end. ToldToEnd is true from before the signal on.
func (p *Process) Kill() error {
	p.asked.Store(true)
	err := p.cmd.Process.Kill()
	<-p.ended
	return errors.Join(err, p.killed())
}

// killed wants a process to have ended by a signal.
func (p *Process) killed() error {
	if p.cmd.ProcessState.ExitCode() != -1 {
		return fmt.Errorf("the process ended before the kill: %v%s", p.cmd.ProcessState, p.lastWords())
	}
	return nil
}

// AwaitKilled waits until somebody else has killed the process, as Kill does.
func (p *Process) AwaitKilled(ctx context.Context) error {
	p.asked.Store(true)
	select {
	case <-p.ended:
		return p.killed()
	case <-ctx.Done():
		return fmt.Errorf("the process was not killed: %w", ctx.Err())
	}
}

// EndAnyhow kills the process, unless the process has ended alone.
func (p *Process) EndAnyhow() error {
	p.asked.Store(true)
	err := p.cmd.Process.Kill()
	<-p.ended
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// AwaitExit waits until the process has ended by itself, with one of these statuses.
func (p *Process) AwaitExit(ctx context.Context, statuses ...int) error {
	p.asked.Store(true)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-p.ended:
		if status := p.cmd.ProcessState.ExitCode(); !slices.Contains(statuses, status) {
			return fmt.Errorf("the process ended with status %d, not %d%s", status, statuses, p.lastWords())
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the process did not end: %w%s", ctx.Err(), p.lastWords())
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
	case <-p.ended:
		return p.end
	case <-time.After(patience):
		return errors.Join(p.dump(), fmt.Errorf("the process did not end within %s, and was killed%s", patience,
			p.lastWords()))
	}
}

// dumpTime is how long a hanging program may take to write its goroutines.
const dumpTime = 5 * time.Second

// dump makes a hanging Go program write its goroutines to the log, and ends the program.
func (p *Process) dump() error {
	err := p.cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-p.ended:
	case <-time.After(dumpTime):
	}
	return errors.Join(err, p.EndAnyhow())
}

// Output is the output up to now.
func (p *Process) Output() string {
	text, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// lastWords are the end of the log, for an error.
func (p *Process) lastWords() string {
	lines := strings.Split(strings.TrimSpace(p.Output()), "\n")
	return "\n" + strings.Join(lines[max(0, len(lines)-10):], "\n")
}
