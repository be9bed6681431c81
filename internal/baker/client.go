package baker

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"highwater/internal/softkey"
	"highwater/internal/tezos"
)

// Client speaks as the octez client does (Octez, src/lib_signer_backends/http_gen.ml): a Client asks for the
// authorized keys before every signature, opens a new connection for every request, and always names the signature
// version.
type Client struct {
	base string
	http *http.Client
	// Auth signs requests when the signer wants authentication; nil: no key to authenticate with.
	Auth *softkey.Key
}

// signatureVersion is the version that octez sends today.
const signatureVersion = "3"

// maxAnswer bounds an answer.
const maxAnswer = 1 << 20

// New makes a client of the signer at base, e.g. "http://127.0.0.1:6732". With keepAlive the client reuses
// connections, as most clients but octez do.
func New(base string, keepAlive bool) *Client { return NewVia(base, keepAlive, nil) }

// NewVia is New for a client with a dial function of its own, e.g. for another network; nil is the usual dial.
func NewVia(
	base string, keepAlive bool, dial func(ctx context.Context, network, address string) (net.Conn, error),
) *Client {
	return &Client{
		base: strings.TrimSuffix(base, "/"),
		http: &http.Client{
			Timeout: 30 * time.Second,
			Transport: &http.Transport{
				DialContext: dial, DisableKeepAlives: !keepAlive, MaxIdleConnsPerHost: 256,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Close lets idle connections go.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Refusal is an answer without a signature.
type Refusal struct {
	Status int
	Text   string
}

func (r *Refusal) Error() string { return fmt.Sprintf("%d: %s", r.Status, r.Text) }

// AuthorizedKeys are the addresses of the authentication keys: each request needs a signature of any authentication
// key. nil: no authentication.
func (c *Client) AuthorizedKeys(ctx context.Context) ([]string, error) {
	var v struct {
		Keys []string `json:"authorized_keys"`
	}
	err := c.do(ctx, http.MethodGet, "/authorized_keys", nil, &v)
	return v.Keys, err
}

// KnownKeys are the keys of the signer, if the signer shows its keys.
func (c *Client) KnownKeys(ctx context.Context) ([]tezos.PublicKeyHash, error) {
	var v struct {
		Keys []tezos.PublicKeyHash `json:"known_keys"`
	}
	err := c.do(ctx, http.MethodGet, "/known_keys", nil, &v)
	return v.Keys, err
}

// PublicKey asks for the key of an address, and checks the key against the address.
func (c *Client) PublicKey(ctx context.Context, pkh tezos.PublicKeyHash) (*tezos.PublicKey, error) {
	var v struct {
		Key tezos.PublicKey `json:"public_key"`
	}
	if err := c.do(ctx, http.MethodGet, "/keys/"+pkh.String(), nil, &v); err != nil {
		return nil, err
	}
	if v.Key.Hash() != pkh {
		return nil, fmt.Errorf("the signer gave the key of %s for %s", v.Key.Hash(), pkh)
	}
	return &v.Key, nil
}

// Sign asks as octez-baker does and verifies the answer. The error is a *Refusal when the signer refused.
func (c *Client) Sign(ctx context.Context, key *tezos.PublicKey, payload []byte) (tezos.Signature, error) {
	return verified(key, payload)(c.Ask(ctx, key, payload))
}

// SignOnly asks without looking at the authorized keys first, as Taquito does.
func (c *Client) SignOnly(ctx context.Context, key *tezos.PublicKey, payload []byte) (tezos.Signature, error) {
	return verified(key, payload)(c.AskOnly(ctx, key, payload))
}

// Ask is Sign without the verification, for measuring the signer's time.
func (c *Client) Ask(ctx context.Context, key *tezos.PublicKey, payload []byte) (tezos.Signature, error) {
	wanted, err := c.AuthorizedKeys(ctx)
	if err != nil {
		return tezos.Signature{}, err
	}
	return c.ask(ctx, key, payload, len(wanted) > 0)
}

// AskOnly is SignOnly without the verification.
func (c *Client) AskOnly(ctx context.Context, key *tezos.PublicKey, payload []byte) (tezos.Signature, error) {
	return c.ask(ctx, key, payload, false)
}

func verified(key *tezos.PublicKey, payload []byte) func(tezos.Signature, error) (tezos.Signature, error) {
	return func(sig tezos.Signature, err error) (tezos.Signature, error) {
		if err != nil {
			return tezos.Signature{}, err
		}
		if err := key.Verify(payload, sig); err != nil {
			return tezos.Signature{}, fmt.Errorf("the signer's answer: %w", err)
		}
		return sig, nil
	}
}

func (c *Client) ask(
	ctx context.Context, key *tezos.PublicKey, payload []byte, authenticate bool,
) (tezos.Signature, error) {
	path := "/keys/" + key.Hash().String() + "?version=" + signatureVersion
	if authenticate && c.Auth != nil {
		message := append(append([]byte{0x04, 0x01}, key.Hash().Bytes()...), payload...)
		path += "&authentication=" + c.Auth.Sign(message).String()
	}
	var v struct {
		Signature tezos.Signature `json:"signature"`
	}
	body := []byte(`"` + hex.EncodeToString(payload) + "\"\n")
	if err := c.do(ctx, http.MethodPost, path, body, &v); err != nil {
		return tezos.Signature{}, err
	}
	return v.Signature, nil
}

func (c *Client) do(ctx context.Context, method, path string, body []byte, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json;q=1,application/bson;q=0.100,application/octet-stream;q=0.200")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return &Refusal{resp.StatusCode, errorText(answer)}
	}
	return json.Unmarshal(answer, into)
}

// errorText returns the message of octez's error shape; an answer of another shape is returned unchanged.
func errorText(answer []byte) string {
	var list []struct {
		Msg string `json:"msg"`
	}
	if err := json.Unmarshal(answer, &list); err != nil || len(list) == 0 {
		return string(answer)
	}
	return list[0].Msg
}
