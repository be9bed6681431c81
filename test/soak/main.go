// Command soak runs the real program under load, and measures memory, goroutines, open descriptors and the size of the
// watermark file. A growing quantity fails the soak; so do leftovers of clients.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"highwater/internal/baker"
	"highwater/internal/tezos"
	"highwater/test/harness"
)

func main() {
	binary := flag.String("binary", "bin/highwater", "the program")
	duration := flag.Duration("duration", time.Hour, "how long")
	flag.Parse()
	if err := run(context.Background(), *binary, *duration); err != nil {
		fmt.Fprintln(os.Stderr, "FAILED:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, binary string, duration time.Duration) error {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "highwater-soak-")
	if err != nil {
		return err
	}
	store := harness.Store{Ahead: 1}
	if store.Runtime, err = harness.NewRuntime(); err != nil {
		return err
	}
	d, err := harness.New(ctx, binary, dir, store, harness.Bakery)
	if err != nil {
		return err
	}
	if err = d.Start(0); err != nil {
		return err
	}
	err = soak(ctx, d, duration)
	if err = errors.Join(err, d.Stop()); err != nil {
		return fmt.Errorf("%w\nthe daemon's log: %s", err, d.Log)
	}
	return errors.Join(os.RemoveAll(dir), os.RemoveAll(store.Runtime))
}

// The time between two samples, and the shortest and longest warm-up.
const (
	samples = 200
	fastest = 500 * time.Millisecond
	warmUp  = 0.1
)

func soak(ctx context.Context, d *harness.Daemon, duration time.Duration) error {
	if _, err := d.AwaitUp(ctx); err != nil {
		return err
	}
	keys, err := d.Keys(ctx)
	if err != nil {
		return err
	}
	idle, err := look(ctx, d)
	if err != nil {
		return err
	}
	loading, stop := context.WithTimeout(ctx, duration)
	defer stop()
	errs := make([]error, len(keys))
	var wg sync.WaitGroup
	for i, key := range keys {
		wg.Go(func() {
			errs[i] = load(loading, d, key, i%2 == 0)
			if errs[i] != nil {
				stop()
			}
		})
	}
	seen, err := watch(loading, d, max(fastest, duration/samples))
	wg.Wait()
	if err = errors.Join(append(errs, err)...); err != nil {
		return err
	}
	_, err = os.Stdout.WriteString(table(seen))
	return errors.Join(err, judge(seen[int(float64(len(seen))*warmUp):]), settles(ctx, d, idle))
}

// watch looks at the daemon until ctx ends.
func watch(ctx context.Context, d *harness.Daemon, every time.Duration) ([]sample, error) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var seen []sample
	for {
		select {
		case <-ctx.Done():
			return seen, nil
		case <-tick.C:
			s, err := look(context.WithoutCancel(ctx), d)
			if err != nil {
				return seen, err
			}
			if seen = append(seen, s); len(seen)%(samples/10) == 0 {
				fmt.Fprintln(os.Stderr, time.Duration(len(seen))*every, s)
			}
		}
	}
}

// Besides, a client sometimes repeats a request, asks for other bytes at the same place, and gives a request up.
const (
	againEvery  = 10
	doubleEvery = 11
	giveUpEvery = 50
	giveUpAfter = time.Millisecond
)

// load asks with one key until ctx ends, and verifies every answer.
func load(ctx context.Context, d *harness.Daemon, key *tezos.PublicKey, keep bool) error {
	client := d.Client(keep)
	defer client.Close()
	for n := 1; ctx.Err() == nil; n++ {
		step := baker.Step{Chain: harness.Chain, Kind: tezos.Kinds[n%len(tezos.Kinds)], Level: harness.StartLevel + int32(n)}
		payload := step.Payload(key.Curve())
		if n%giveUpEvery == 0 { // a request given up is signed or not: no client will know
			brief, cancel := context.WithTimeout(ctx, giveUpAfter)
			_, _ = client.Sign(brief, key, payload)
			cancel()
			continue
		}
		sig, err := client.Sign(context.WithoutCancel(ctx), key, payload)
		if err != nil {
			return fmt.Errorf("%s at level %d: %w", key.Hash(), step.Level, err)
		}
		if n%againEvery == 0 {
			again, againErr := client.Sign(context.WithoutCancel(ctx), key, payload)
			if againErr != nil || again.String() != sig.String() {
				return errors.Join(fmt.Errorf("%s at level %d, asked again: another answer", key.Hash(), step.Level), againErr)
			}
		}
		if n%doubleEvery == 0 {
			step.Variant = 1
			var no *baker.Refusal
			if _, err = client.Sign(context.WithoutCancel(ctx), key, step.Payload(key.Curve())); !errors.As(err, &no) {
				return errors.Join(fmt.Errorf("%s at level %d: a double signature was not refused", key.Hash(), step.Level), err)
			}
		}
	}
	return nil
}
