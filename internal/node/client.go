// Package node asks an octez node what failover and the guard have to know: which chain it follows and whether it has caught up, its
// head as it moves, who signed the blocks and the consensus operations in them, and who has rights. It reads only.
//
// A node is not trusted with more than it must be: every answer is bounded, levels, rounds, hashes and addresses are checked
// strictly, fields that are not known here are ignored. The shapes are those of Octez's RPC (docs/api/*-openapi.json of Octez), Seoul
// to Ushuaia; what differs between protocols is said where it is read.
package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"highwater/internal/tezos"
)

// DefaultTimeout bounds a request whose context has no earlier deadline.
const DefaultTimeout = 10 * time.Second

// Bounds of answers, in bytes. A block has at most 2048 consensus operations of less than 1 KiB of JSON each; metadata grow at the
// end of a cycle, when every baker's rewards stand in them.
const (
	maxSmall      = 64 << 10
	maxOperations = 8 << 20
	maxMetadata   = 16 << 20
	maxRights     = 4 << 20
	maxErrorText  = 300
)

// Config is what a client is made of.
type Config struct {
	URL     string        // http or https, with a path if the node stands behind one; required
	Timeout time.Duration // of one request; DefaultTimeout when zero
	Log     *slog.Logger  // may be nil
}

// Client asks one node. It is safe for concurrent use. Close it when it is no longer needed.
type Client struct {
	base    *url.URL
	shown   string // scheme and host: a path may hold an access token
	timeout time.Duration
	http    *http.Client
	log     *slog.Logger
}

// New makes a client. Nothing is asked yet.
func New(cfg Config) (*Client, error) {
	base, err := url.Parse(strings.TrimSuffix(cfg.URL, "/"))
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("node = %q is no address of a node, such as http://127.0.0.1:8732", cfg.URL)
	}
	if base.RawQuery != "" || base.Fragment != "" {
		return nil, fmt.Errorf("node = %q: the address of a node has no query and no fragment", cfg.URL)
	}
	c := &Client{base: base, shown: base.Scheme + "://" + base.Host, timeout: cfg.Timeout, log: cfg.Log}
	if c.timeout <= 0 {
		c.timeout = DefaultTimeout
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}
	c.http = &http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: 5 * time.Second, MaxIdleConnsPerHost: 4,
			IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: maxSmall,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// Close lets idle connections go.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// String is the node's address, without what may be secret in it.
func (c *Client) String() string { return c.shown }

// get asks for path and gives the whole answer, at most limit bytes.
func (c *Client) get(ctx context.Context, path string, query url.Values, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	resp, err := c.open(ctx, path, query)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end, or given up
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, c.unreachable(err)
	}
	if int64(len(body)) > limit {
		return nil, c.bad(path, fmt.Errorf("the answer has more than %d bytes", limit))
	}
	return body, nil
}

// open sends the request and checks the status. The caller closes the body.
func (c *Client) open(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	at := c.base.JoinPath(path)
	at.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("ask the node: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close() //nolint:errcheck // its text is all that is wanted
	if to := resp.Header.Get("Location"); resp.StatusCode/100 == 3 && to != "" {
		return nil, c.redirected(resp.StatusCode, to)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxSmall))
	if err != nil {
		return nil, c.unreachable(err)
	}
	return nil, c.refused(path, resp.StatusCode, text)
}

// ask gets path and reads the answer with parse.
func ask[T any](
	ctx context.Context, c *Client, path string, query url.Values, limit int64, parse func([]byte) (T, error),
) (v T, err error) {
	body, err := c.get(ctx, path, query, limit)
	if err != nil {
		return v, err
	}
	if v, err = parse(body); err != nil {
		return v, c.bad(path, err)
	}
	return v, nil
}

// read parses one JSON value of a fixed shape; white space may follow it and nothing else.
func read(b []byte, into any) error {
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("not the JSON that is expected: %w", err)
	}
	return nil
}

// position checks a level and a round that stand in an answer.
func position(level, round *int32) (int32, int32, error) {
	switch {
	case level == nil || round == nil:
		return 0, 0, errors.New("a level or a round is missing")
	case *level < 0 || *round < 0:
		return 0, 0, fmt.Errorf("a negative level or round: %d, %d", *level, *round)
	}
	return *level, *round, nil
}

// ChainID asks which chain the node follows.
func (c *Client) ChainID(ctx context.Context) (tezos.ChainID, error) {
	return ask(ctx, c, "/chains/main/chain_id", nil, maxSmall, parseChainID)
}

func parseChainID(b []byte) (tezos.ChainID, error) {
	var text string
	if err := read(b, &text); err != nil {
		return tezos.ChainID{}, err
	}
	return tezos.ParseChainID(text)
}
