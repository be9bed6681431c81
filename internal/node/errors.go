package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"highwater/internal/tezos"
)

var (
	// ErrUnreachable is returned when the node does not answer, or not in time.
	ErrUnreachable = errors.New("does not answer")
	// ErrRefused is returned when the node answers with an error.
	ErrRefused = errors.New("answers with an error")
	// ErrNotFound is returned when the node does not know the block, or not any more.
	ErrNotFound = errors.New("does not know the block")
	// ErrAnswer is returned when an answer cannot be read, or is impossible.
	ErrAnswer = errors.New("gives an unusable answer")
	// ErrWrongChain is returned when the node follows another chain.
	ErrWrongChain = errors.New("follows another chain")
	// ErrNotSynced is returned when the node has not caught up with its chain, or stands still.
	ErrNotSynced = errors.New("is not synced")
)

// Error is a failure of a node, and wraps one of the sentinels above.
type Error struct {
	Node   string // scheme and host
	Kind   error  // the sentinel
	Detail string
	Hint   string
	Cause  error // may be nil
}

func (e *Error) Error() string {
	text := fmt.Sprintf("the node at %s %v", e.Node, e.Kind)
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text
}

// HintText is the advice.
func (e *Error) HintText() string { return e.Hint }

// Unwrap gives the sentinel and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Cause}
}

// unreachable is for a failure before the end of an answer. The text of a *url.Error would show the path, and a path
// may hold a token.
func (c *Client) unreachable(err error) error {
	cause := err
	for {
		inner := errors.Unwrap(cause)
		if inner == nil {
			break
		}
		cause = inner
	}
	detail := cause.Error()
	if errors.Is(err, context.DeadlineExceeded) {
		detail = "no answer in time"
	}
	return &Error{
		Node: c.shown, Kind: ErrUnreachable, Detail: detail, Cause: err,
		Hint: "see that octez-node runs, with its RPC at the address (--rpc-addr): curl " + c.shown + "/chains/main/chain_id",
	}
}

func (c *Client) refused(path string, status int, body []byte) error {
	e := &Error{Node: c.shown, Kind: ErrRefused, Detail: fmt.Sprintf("%s: status %d: %s", path, status, errorText(body))}
	switch status {
	case http.StatusNotFound, http.StatusGone:
		e.Kind = ErrNotFound
		e.Hint = "the block was reorganised away, or is too old for the node; or no octez node is at the address"
	case http.StatusUnauthorized, http.StatusForbidden:
		e.Hint = "the node's access list refuses the RPC: give octez-node --allow-all-rpc for the address"
	}
	return e
}

// redirected names the target of a redirect, without the parts that may be secret. Nothing follows a redirect.
func (c *Client) redirected(status int, location string) error {
	e := &Error{
		Node: c.shown, Kind: ErrRefused, Detail: fmt.Sprintf("status %d: a redirect to an unreadable address", status),
		Hint: "set node to the address of the node itself: redirects are not followed",
	}
	to, err := c.base.Parse(location)
	if err != nil || to.Host == "" {
		return e
	}
	target := to.Scheme + "://" + to.Host
	if target == c.shown {
		e.Detail = fmt.Sprintf("status %d: a redirect to another path of %s", status, cut(target))
		return e
	}
	e.Detail = fmt.Sprintf("status %d: a redirect to %s", status, cut(target))
	e.Hint = "redirects are not followed; for your own node: node = \"" + cut(target) + "\", with the node's path, if any"
	return e
}

func (c *Client) bad(path string, err error) error {
	return &Error{
		Node: c.shown, Kind: ErrAnswer, Detail: path + ": " + err.Error(), Cause: err,
		Hint: "see that an octez node is at the address, in a version known to Highwater: highwater version",
	}
}

func (c *Client) wrongChain(has, want tezos.ChainID) error {
	return &Error{
		Node: c.shown, Kind: ErrWrongChain, Detail: fmt.Sprintf("%s, while %s is signed for", has, want),
		Hint: "set node to a node of " + want.String() + ", or chain to the chain of your baker",
	}
}

// errorText makes a short line from an error answer of octez: an array of error objects, or any text.
func errorText(body []byte) string {
	var list []struct {
		ID  string `json:"id"`
		Msg string `json:"msg"`
	}
	text := string(body)
	if err := json.Unmarshal(body, &list); err == nil && len(list) > 0 {
		text = strings.TrimSpace(list[0].ID + " " + list[0].Msg)
	}
	text = strings.ToValidUTF8(strings.Join(strings.Fields(text), " "), "?")
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText], "") + "…"
	}
	return text
}
