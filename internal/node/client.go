// Package node asks an octez node for the needs of failover and the guard: the node's chain and its state of
// synchronisation, each new head, the signers of blocks and of their consensus operations, and the rights of bakers.
// Package node only reads.
//
// A node gets no more trust than needed: every answer is bounded; levels, rounds, hashes and addresses are checked
// strictly; unknown fields are ignored. The shapes are those of Octez's RPC (docs/api/*-openapi.json of Octez), Seoul
// to Ushuaia; the code that reads a field says how protocols differ in the field.
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

// DefaultTimeout bounds a request without an earlier deadline of its context.
const DefaultTimeout = 10 * time.Second

// Bounds of answers, in bytes. A block has at most 2048 consensus operations of less than 1 KiB of JSON each; metadata
// grow at the end of a cycle, with the rewards of every baker.
const (
	maxSmall      = 64 << 10
	maxOperations = 8 << 20
	maxMetadata   = 16 << 20
	maxRights     = 4 << 20
	maxErrorText  = 300
)

// Config holds the parts of a client.
type Config struct {
	URL     string        // http or https, with the path of a proxy if needed; required
	Timeout time.Duration // of a request; DefaultTimeout when zero
	Log     *slog.Logger  // may be nil
}

// Client asks one node, and is safe for concurrent use. Close a client after its last use.
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

// String is the node's address, without the parts that may be secret.
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
	defer resp.Body.Close() //nolint:errcheck // only the text is wanted
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

// read parses a JSON value of a fixed shape; only white space may follow.
func read(b []byte, into any) error {
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("unexpected JSON: %w", err)
	}
	return nil
}

// position checks a level and a round of an answer.
func position(level, round *int32) (int32, int32, error) {
	switch {
	case level == nil || round == nil:
		return 0, 0, errors.New("a level or a round is missing")
	case *level < 0 || *round < 0:
		return 0, 0, fmt.Errorf("a negative level or round: %d, %d", *level, *round)
	}
	return *level, *round, nil
}

// ChainID asks for the node's chain.
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
