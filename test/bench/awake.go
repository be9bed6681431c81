package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// cellAwake is the process that keeps a processor awake.
const cellAwake = "awake"

// keepAwake starts a process for each processor that runs only where nothing else would. At a baker's pace an idle
// processor falls asleep between two requests, and in a virtual machine the wake-up takes milliseconds: more than the
// signers do. A machine with a node on it is seldom asleep.
func keepAwake(ctx context.Context) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var started []*exec.Cmd
	stop = func() {
		cancel()
		for _, cmd := range started {
			_ = cmd.Wait() // killed just now
		}
	}
	self, err := os.Executable()
	for range runtime.NumCPU() {
		if err != nil {
			break
		}
		cmd := exec.CommandContext(ctx, self, "-cell", cellAwake) //nolint:gosec // ourselves
		cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err = cmd.Start(); err == nil {
			started = append(started, cmd)
		}
	}
	if err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

// stayAwake uses up the time that nobody else wants, until ctx ends.
func stayAwake(ctx context.Context) error {
	runtime.LockOSThread()
	if err := unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_IDLE}, 0); err != nil {
		return errors.Join(errors.New("a process of the lowest priority"), err)
	}
	for ctx.Err() == nil {
		continue
	}
	return nil
}
