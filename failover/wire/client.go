package wire

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"highwater/hwm"
)

// Client asks over HTTPS, with a new connection for each question: no answer to an earlier question can be mistaken for
// the answer.
type Client struct{ identity crypto.Signer }

// NewClient makes a client with the given identity.
func NewClient(identity crypto.Signer) *Client { return &Client{identity} }

// dialTimeout bounds the connection and its handshake.
const dialTimeout = 2 * time.Second

func (l *Client) client(peer hwm.Peer) (*http.Client, error) {
	cfg, err := tlsConfig(l.identity, func() (hwm.InstanceID, bool) { return peer.Key, true })
	if err != nil {
		return nil, err
	}
	dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: dialTimeout}, Config: cfg}
	return &http.Client{
		Transport: &http.Transport{
			DialTLSContext:    dialer.DialContext,
			DisableKeepAlives: true, MaxResponseHeaderBytes: 16 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

func (l *Client) post(ctx context.Context, peer hwm.Peer, verb string, q Question) (*http.Response, error) {
	client, err := l.client(peer)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+peer.Address+"/v1/"+verb,
		bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, unreachable(peer, err)
	}
	return resp, nil
}

// Call asks a question.
func (l *Client) Call(ctx context.Context, peer hwm.Peer, verb string, q Question) (Answer, error) {
	resp, err := l.post(ctx, peer, verb, q)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxMessage+1))
	if err != nil {
		return Answer{}, unreachable(peer, err)
	}
	if resp.StatusCode != http.StatusOK {
		return Answer{}, answered(resp)
	}
	return Parse[Answer](body)
}

// answered refuses an answer without a message.
func answered(resp *http.Response) *Refusal {
	return Refuse(WrongVersion, "see that highwater's peer listener is at the address: `[peer] listen`",
		"the peer answered %s", resp.Status)
}

// followIdle ends a silent stream: the peer says something each second.
const followIdle = 5 * time.Second

// Follow reads a stream of answers, an answer a line.
func (l *Client) Follow(ctx context.Context, peer hwm.Peer, q Question, each func(Answer) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := time.AfterFunc(followIdle, func() { cancel(errors.New("nothing was heard for " + followIdle.String())) })
	defer idle.Stop()
	resp, err := l.post(ctx, peer, Follow, q)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read as far as is wanted
	if resp.StatusCode != http.StatusOK {
		return answered(resp)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 0, 4096), maxMessage)
	for lines.Scan() {
		idle.Reset(followIdle)
		a, err := Parse[Answer](lines.Bytes())
		if err == nil {
			err = each(a)
		}
		if err != nil {
			return err
		}
	}
	return errors.Join(context.Cause(ctx), lines.Err())
}

// unreachable says in words why no answer came. A wrong key has a reason of its own.
func unreachable(peer hwm.Peer, err error) error {
	var r *Refusal
	if errors.As(err, &r) {
		return r
	}
	if strings.Contains(err.Error(), "remote error: tls") {
		return Refuse(WrongKey, "on the peer's machine: highwater peer show; the key of this instance must be named",
			"the instance at %s does not accept the key of this instance", peer.Address)
	}
	return Refuse(Unreachable, "on the peer's machine: does highwater run, and do `[peer] listen` and the firewall "+
		"let this machine in?",
		"the peer at %s does not answer: %v", peer.Address, cause(err))
}

// cause leaves the method and the address out of an error of the HTTP client.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op
	}
	if u := errors.Unwrap(err); u != nil {
		return u
	}
	return err
}
