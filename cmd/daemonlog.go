package cmd

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"highwater/internal/logqueue"
	"highwater/internal/terminal"
)

// flushPatience is how long the end of the process waits for the reader of its log.
const flushPatience = time.Second

// daemonLog gives the daemon's log. The log never waits for a slow reader. The queue takes the place of standard error
// until Main flushes the queue.
func (a *app) daemonLog(level, format string) (*slog.Logger, *logqueue.Queue, error) {
	if _, err := newLogger(io.Discard, level, format); err != nil { // before anything is started
		return nil, nil, err
	}
	lost := func(n uint64) []byte {
		var line bytes.Buffer
		log, err := newLogger(&line, slog.LevelError.String(), format)
		if err != nil {
			return nil // the log worked at its start
		}
		log.Error("log lines dropped: nobody read the log", "lines", n)
		return line.Bytes()
	}
	queue := logqueue.New(a.Err, logqueue.Size, lost)
	a.Err, a.flush = queue, func() { queue.Close(flushPatience) }
	log, err := newLogger(queue, level, format)
	return log, queue, err
}

// survive makes the process outlive a closed terminal (SIGHUP) and a closed log pipe (SIGPIPE). Programs started by the
// process still get both signals. Each SIGHUP calls again, once the caller has set again. stop ends the goroutine that
// listens.
func survive(ctx context.Context, log *slog.Logger, again *atomic.Pointer[func()]) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGPIPE)
	var listening sync.WaitGroup
	listening.Go(func() {
		for {
			select {
			case s := <-signals:
				if s == syscall.SIGHUP {
					log.Info("SIGHUP: certificates are read again, and nothing else", "hint",
						"to use a changed configuration: systemctl restart highwater")
					if f := again.Load(); f != nil {
						(*f)()
					}
				}
			case <-ctx.Done():
				return
			}
		}
	})
	return func() { cancel(); listening.Wait() }
}

func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, terminal.Usagef("--log-level %q: use debug, info, warn or error", level)
	}
	opt := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, opt)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opt)), nil
	}
	return nil, terminal.Usagef("--log-format %q: use text or json", format)
}
