package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// watchedLoad asks while pages listen, and the page and the metrics are read once: in turns of less than five seconds,
// more often than each five seconds.
func watchedLoad(ctx context.Context, d *daemon, asked *contender, slice time.Duration) (sample, error) {
	listening, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	errs := make([]error, listeners+1)
	for i := range listeners {
		wg.Go(func() { errs[i] = listen(listening, d.Monitor+"/events") })
	}
	wg.Go(func() {
		_, page := d.Get(ctx, "/")
		_, metrics := d.Metrics(ctx)
		errs[listeners] = errors.Join(page, metrics)
	})
	s, err := load(ctx, asked, keptStyle, slice, 0)
	stop()
	wg.Wait()
	return s, errors.Join(append(errs, err)...)
}

// listen reads events until ctx ends. A turn without an event is an error.
func listen(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	events := 0
	lines := bufio.NewReader(resp.Body)
	for {
		line, err := lines.ReadString('\n')
		if strings.HasPrefix(line, "event: page") {
			events++
		}
		switch {
		case err == nil:
		case ctx.Err() != nil && events > 0:
			return nil
		default:
			return fmt.Errorf("%s: %d events, status %s: %w", url, events, resp.Status, err)
		}
	}
}
