// Package client asks a signer over Octez's socket protocol, as octez-baker does; for the suites that need a client.
package client

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"

	"highwater/api/socket/message"
	"highwater/internal/tezos"
)

// Conn is a connection to a signer. A Conn is used by one goroutine at a time.
type Conn struct{ net.Conn }

// Dial connects to "tcp://HOST:PORT", "HOST:PORT" or "unix:/PATH".
func Dial(ctx context.Context, address string) (*Conn, error) {
	network := "tcp"
	if path, unix := strings.CutPrefix(address, "unix:"); unix {
		network, address = "unix", path
	}
	c, err := (&net.Dialer{}).DialContext(ctx, network, strings.TrimPrefix(address, "tcp://"))
	if err != nil {
		return nil, err
	}
	return &Conn{c}, nil
}

// Ask sends a request, and gives the body of the answer. An error of the signer is a *message.RefusedError.
func (c *Conn) Ask(q message.Request) ([]byte, error) {
	if _, err := c.Write(q.Bytes()); err != nil {
		return nil, err
	}
	return c.Answer()
}

// Answer reads one answer.
func (c *Conn) Answer() ([]byte, error) {
	var header [message.HeaderLen]byte
	if _, err := io.ReadFull(c, header[:]); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint16(header[:]))
	if _, err := io.ReadFull(c, body); err != nil {
		return nil, err
	}
	return message.ParseAnswer(body)
}

// Signer signs the requests of a client.
type Signer interface {
	PublicKey() *tezos.PublicKey
	Sign(payload []byte) tezos.Signature
}

// Sign asks for the signature of a payload as Octez does: the authorized keys first, then the signature, on one
// connection. by is asked for the client's own signature when the signer wants one. The signature is not verified.
func (c *Conn) Sign(key *tezos.PublicKey, payload []byte, by Signer) (tezos.Signature, error) {
	keys, err := c.Ask(message.Request{Kind: message.AuthorizedKeys})
	if err != nil {
		return tezos.Signature{}, err
	}
	q := SignRequest(key.Hash(), payload)
	if len(keys) > 1 && by != nil {
		q.Authentication = by.Sign(append(append([]byte{4, 1}, key.Hash().Bytes()...), payload...)).Bytes()
	}
	raw, err := c.Ask(q)
	if err != nil {
		return tezos.Signature{}, err
	}
	if len(raw) == 0 {
		return tezos.Signature{}, fmt.Errorf("%w: no signature", message.ErrBadAnswer)
	}
	return tezos.NewSignature(key.Curve(), raw)
}

// SignRequest is the request for a signature, with the newest signature version for tz4.
func SignRequest(pkh tezos.PublicKeyHash, payload []byte) message.Request {
	q := message.Request{Kind: message.Sign, PKH: pkh, Data: payload}
	if newest := uint8(3); pkh.Curve == tezos.BLS12381 {
		q.Version = &newest
	}
	return q
}
