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

	"highwater/test/failover/proxy"
)

// trap kills one side at the nth moment of a kind during a handover.
type trap struct {
	what string
	set  func(ctx context.Context, w *world, to, dies *side, n int) (sprung, error)
}

// sprung is called with the result of the handover, and tells whether the moment came. In that case the side is dead.
type sprung func(handed error) (bool, error)

// crashSteps kills at each step of each connection.
func crashSteps(ctx context.Context, w *world) error {
	var traps []trap
	for _, at := range []proxy.Stage{proxy.OnConnect, proxy.OnQuestion, proxy.OnAnswer, proxy.OnEnd} {
		traps = append(traps, atStage(at))
	}
	return w.killings(ctx, 8, "on the way", traps...)
}

// crashWrites kills at each write to the disk, before the write: between each pair of durable states.
func crashWrites(ctx context.Context, w *world) error {
	return w.killings(ctx, 4, "at a write", trap{"write", atWrite})
}

// killings hands over again and again, and kills either side at each moment of each kind in turn, until no moment is
// left. After a restart, no place is signed twice, and a second request finishes the handover.
func (w *world) killings(ctx context.Context, fewest int, when string, traps ...trap) error {
	signs, killed := w.a, 0
	for _, t := range traps {
		for _, old := range []bool{true, false} {
			for n, hit := 0, true; hit; n++ {
				to := w.other(signs)
				dies := to
				if old {
					dies = signs
				}
				var err error
				if hit, err = w.killing(ctx, signs, dies, n, t); err != nil {
					return fmt.Errorf("%s killed at %s %d of a handover to %s: %w", dies, t.what, n, to, err)
				}
				if hit {
					killed++
				}
				signs = to
			}
		}
	}
	w.result.note("%d handovers with one side killed %s", killed, when)
	if killed < fewest {
		return errors.New("too few were killed")
	}
	return nil
}

// killing hands over into a trap, and restarts the killed side.
func (w *world) killing(ctx context.Context, from, dies *side, n int, t trap) (hit bool, err error) {
	to := w.other(from)
	ended, err := t.set(ctx, w, to, dies, n)
	if err != nil {
		return false, err
	}
	_, first := w.handover(ctx, to, "--now")
	if hit, err = ended(first); err != nil {
		return hit, err
	}
	if hit {
		if err = dies.up(ctx); err != nil {
			return hit, err
		}
		first = errors.Join(first, errors.New("killed"))
	}
	return hit, errors.Join(w.finish(ctx, to, first), w.signs(ctx, to), w.quiet(ctx, from))
}

// atStage is when a connection has come to a stage.
func atStage(at proxy.Stage) trap {
	return trap{
		fmt.Sprintf("the %s of connection", at),
		func(ctx context.Context, w *world, _, dies *side, n int) (sprung, error) {
			ended := make(chan error, 1)
			seen := w.arrangeOne(n, proxy.Fate{At: at, Call: func() { ended <- dies.kill() }})
			return func(error) (hit bool, err error) {
				w.arrange(nil)
				if seen() <= n {
					return false, nil
				}
				waited := w.await(ctx, "the connection comes to the stage", func() (bool, error) {
					select {
					case err = <-ended:
						return true, nil
					default:
					}
					if at == proxy.OnEnd { // the stream of marks, followed by the old side from now on, has no end by itself
						w.a.proxy.HangUp()
						w.b.proxy.HangUp()
					}
					return false, nil
				})
				return true, errors.Join(waited, err)
			}, nil
		},
	}
}

// atWrite kills at a side's write to the disk, until the new side has signed.
func atWrite(ctx context.Context, w *world, to, dies *side, n int) (sprung, error) {
	trace, err := attach(ctx, dies.PID(), n+1)
	if err != nil {
		return nil, err
	}
	return func(handed error) (bool, error) {
		var silent error
		if handed == nil {
			silent = w.signs(ctx, to)
		}
		if err := trace.end(); err != nil {
			return false, err
		}
		hit, err := w.dead(ctx, dies)
		if err != nil || !hit {
			return hit, errors.Join(err, silent)
		}
		dies.running.Store(false)
		return hit, dies.AwaitKilled(ctx)
	}, nil
}

// tracer is strace, attached to a process to kill the process at a write.
type tracer struct {
	cmd  *exec.Cmd
	said *os.File
}

// attach arranges the kill of a process before its nth positioned write to a file (the store's way to write), and waits
// until strace is ready.
func attach(ctx context.Context, pid, n int) (*tracer, error) {
	return trace(ctx, pid, "pwrite64", fmt.Sprintf("pwrite64:signal=KILL:when=%d", n))
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

// end detaches strace. At the very moment of the process's death, strace may wait for ever.
func (t *tracer) end() error {
	_ = t.cmd.Process.Signal(syscall.SIGINT) // strace may have ended with the process
	kill := time.AfterFunc(detachLimit, func() { _ = t.cmd.Process.Kill() })
	defer kill.Stop()
	_ = t.cmd.Wait() // strace ends as its process ended
	return t.said.Close()
}

// detachLimit is how long strace may take to detach.
const detachLimit = 5 * time.Second

// dead waits until a side is gone, or answers. A killed process no longer answers, and may take a moment to go.
func (w *world) dead(ctx context.Context, s *side) (dead bool, err error) {
	err = w.await(ctx, fmt.Sprintf("%s is gone, or answers", s), func() (bool, error) {
		stat, readErr := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.PID()))
		_, state, _ := strings.Cut(string(stat), ") ")
		if dead = errors.Is(readErr, os.ErrNotExist) || strings.HasPrefix(state, "Z") || strings.HasPrefix(state, "X"); dead {
			return true, nil
		}
		_, statusErr := s.status(ctx)
		return statusErr == nil, statusErr
	})
	return dead, err
}
