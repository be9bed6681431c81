package node

import (
	"context"
	"io"
	"net/http"
	"time"
)

// Clock asks for the time on the node's machine: the Date of an answer, in whole seconds; zero without a Date. here is
// this machine's time in the middle of the exchange.
func (c *Client) Clock(ctx context.Context, now func() time.Time) (there, here time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	start := now()
	resp, err := c.open(ctx, "/chains/main/chain_id", nil)
	if err != nil {
		return there, here, err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end, or given up
	end := now()
	here = start.Add(end.Sub(start) / 2)
	if _, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxSmall)); err != nil {
		return there, here, c.unreachable(err)
	}
	if text := resp.Header.Get("Date"); text != "" {
		if there, err = http.ParseTime(text); err != nil {
			return time.Time{}, here, c.bad("Date", err)
		}
		there = there.Add(time.Second / 2) // anywhere in the second
	}
	return there, here, nil
}
