package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// crashes hands over again and again, and kills one side at each step of each connection of it in turn. It is started again, and
// whatever was left: nobody signs twice, and asking again finishes what was begun.
func crashes(ctx context.Context, w *world) error {
	signs, killed := w.a, 0
	for _, at := range []stage{onConnect, onQuestion, onAnswer, onEnd} {
		for _, who := range []string{"the one that signs", "the one that will"} {
			for n := 0; ; n++ {
				dies := signs
				if who == "the one that will" {
					dies = w.other(signs)
				}
				hit, err := w.killedAt(ctx, signs, dies, n, at)
				if err != nil {
					return fmt.Errorf("connection %d of a handover to %s, at its %s, %s killed: %w", n, w.other(signs), at, dies, err)
				}
				signs = w.other(signs)
				if !hit {
					break
				}
				killed++
			}
		}
	}
	w.result.note("%d handovers with one side killed on the way", killed)
	if killed < 8 {
		return errors.New("too few were killed")
	}
	return nil
}

// killedAt hands over while a process is killed when connection n has come to a stage, and starts it again.
func (w *world) killedAt(ctx context.Context, from, dies *side, n int, at stage) (hit bool, err error) {
	to := w.other(from)
	var killErr error
	done := make(chan struct{})
	seen := w.arrange(func(k int) []fate {
		if k != n {
			return nil
		}
		return []fate{{at: at, call: func() { defer close(done); killErr = dies.kill() }}}
	})
	_, first := w.handover(ctx, to, "--now")
	w.arrange(nil)
	if hit = seen() > n; hit {
		select {
		case <-done:
		case <-time.After(patience):
			return hit, errors.New("the connection never came to that stage")
		}
		if err = errors.Join(killErr, dies.up(ctx)); err != nil {
			return hit, err
		}
		first = errors.Join(first, errors.New("killed"))
	}
	return hit, errors.Join(w.finish(ctx, to, first), w.signs(ctx, to), w.quiet(ctx, from))
}

// quiet sees that a side signs nothing from now on, for as long as the other one needs for a signature.
func (w *world) quiet(ctx context.Context, s *side) error {
	since := time.Now()
	if err := w.signs(ctx, w.other(s)); err != nil {
		return err
	}
	if signed := w.tally.by(s.index, since); len(signed) > 0 {
		return fmt.Errorf("%s signed %s at level %d beside the other one", s, signed[0].kind, signed[0].level)
	}
	return nil
}

// crashWrites hands over again and again, and kills one side at each of its writes to the disk in turn, before the write is made: those are
// the moments between what is durable and what is not yet.
func crashWrites(ctx context.Context, w *world) error {
	signs, killed := w.a, 0
	for _, old := range []bool{true, false} {
		for n := 1; ; n++ {
			dies := signs
			if !old {
				dies = w.other(signs)
			}
			hit, err := w.killedWriting(ctx, signs, dies, n)
			if err != nil {
				return fmt.Errorf("%s killed at its write %d in a handover to %s: %w", dies, n, w.other(signs), err)
			}
			signs = w.other(signs)
			if !hit {
				break
			}
			killed++
		}
	}
	w.result.note("%d handovers with one side killed at a write", killed)
	if killed < 4 {
		return errors.New("too few were killed")
	}
	return nil
}

func (w *world) killedWriting(ctx context.Context, from, dies *side, n int) (hit bool, err error) {
	to := w.other(from)
	trace, err := attach(ctx, dies.PID(), n)
	if err != nil {
		return false, err
	}
	_, first := w.handover(ctx, to, "--now")
	if first == nil {
		first = w.signs(ctx, to)
	}
	if hit, err = trace.end(dies.PID()); err != nil {
		return hit, err
	}
	if hit {
		dies.running.Store(false)
		if err = errors.Join(dies.AwaitKilled(ctx), dies.up(ctx)); err != nil {
			return hit, err
		}
		first = errors.Join(first, errors.New("killed"))
	}
	return hit, errors.Join(w.finish(ctx, to, first), w.signs(ctx, to), w.quiet(ctx, from))
}

// tracer is strace, attached to a process to kill it at a write.
type tracer struct {
	cmd  *exec.Cmd
	said *os.File
}

// attach has a process killed when it is about to make its nth write to a file at a place, which is how the store writes, and waits
// until that is arranged.
func attach(ctx context.Context, pid, n int) (*tracer, error) {
	r, said, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "strace", "-f", "-o", "/dev/null", "-e", "trace=pwrite64", //nolint:gosec // ours
		"-e", fmt.Sprintf("inject=pwrite64:signal=KILL:when=%d", n), "-p", fmt.Sprint(pid))
	cmd.Stderr = said
	err = errors.Join(cmd.Start(), said.Close())
	if err == nil {
		err = attached(r)
	}
	return &tracer{cmd, r}, err
}

func attached(r *os.File) error {
	if err := r.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	buf, all := make([]byte, 4096), ""
	for !strings.Contains(all, "attached") {
		n, err := r.Read(buf)
		if all += string(buf[:n]); err != nil {
			return fmt.Errorf("strace did not attach: %w: %s", err, all)
		}
	}
	return nil
}

// end detaches, and tells whether the process was killed.
func (t *tracer) end(pid int) (killed bool, err error) {
	_ = t.cmd.Process.Signal(syscall.SIGINT) // it may have gone with the process
	_ = t.cmd.Wait()                         // it ends as the process did
	if err = t.said.Close(); err != nil {
		return false, err
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) {
		return true, nil
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(state, "Z") || strings.HasPrefix(state, "X"), err
}
