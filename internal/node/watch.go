package node

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"highwater/internal/tezos"
)

// Timing of a Watcher.
const (
	DefaultIdle = time.Minute // a stream is given up after a minute without a head: ten blocks at 6 s
	firstWait   = 200 * time.Millisecond
	longestWait = 10 * time.Second
)

// Watcher follows the head of a chain, over lost connections.
type Watcher struct {
	Client *Client
	Chain  tezos.ChainID // heads of another chain are not told
	// Head is called with each new head, and after each connection with the current head first. Heads may be missing
	// between two calls, and the predecessor need not be the head of the call before: a reorganisation, a lost
	// connection, a slow reader.
	Head func(ctx context.Context, h Header)
	// Down is called with the error of each failed attempt; may be nil.
	Down func(err error)
	Idle time.Duration // DefaultIdle when zero
}

// Run follows the head until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
	wait := firstWait
	for ctx.Err() == nil {
		heard, err := w.stream(ctx)
		if ctx.Err() != nil {
			return
		}
		w.Client.log.Warn("the stream of heads ended", "node", w.Client.shown, "error", err.Error())
		if w.Down != nil {
			w.Down(err)
		}
		if heard {
			wait = firstWait
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		wait = min(2*wait, longestWait)
	}
}

// stream follows a connection to its end. heard tells whether a head came.
func (w *Watcher) stream(ctx context.Context) (heard bool, err error) {
	c := w.Client
	chain, err := c.ChainID(ctx) // each time: another node may answer at the address now
	if err != nil {
		return false, err
	}
	if chain != w.Chain {
		return false, c.wrongChain(chain, w.Chain)
	}
	idle := w.Idle
	if idle <= 0 {
		idle = DefaultIdle
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(idle, func() { cancel(errSilent) })
	defer silence.Stop()

	const path = "/monitor/heads/main"
	resp, err := c.open(ctx, path, nil)
	if err != nil {
		return false, w.why(ctx, err)
	}
	defer resp.Body.Close() //nolint:errcheck // a stream has no end to be read to
	in := &bounded{r: resp.Body}
	for dec := json.NewDecoder(in); ; {
		in.left = maxSmall
		var raw json.RawMessage
		if err = dec.Decode(&raw); err != nil {
			return heard, w.why(ctx, c.ended(path, err))
		}
		h, err := parseHeader(raw)
		if err != nil {
			return heard, c.bad(path, err)
		}
		heard = true
		silence.Stop() // the time of Head is not the node's
		w.Head(ctx, h)
		silence.Reset(idle)
	}
}

var errSilent = errors.New("no head came for too long")

// why prefers our own reason to end a stream.
func (w *Watcher) why(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errSilent) {
		return &Error{
			Node: w.Client.shown, Kind: ErrNotSynced, Detail: errSilent.Error(), Cause: err,
			Hint: "see that the node has peers and is synced: octez-client bootstrapped",
		}
	}
	return err
}

// ended tells an answer without JSON from a lost connection.
func (c *Client) ended(path string, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) || errors.Is(err, errTooLong) {
		return c.bad(path, err)
	}
	return c.unreachable(err)
}

var errTooLong = errors.New("a header without an end")

// bounded bounds the bytes of a value of a stream.
type bounded struct {
	r    io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	if len(p) > b.left {
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	b.left -= n
	return n, err
}
