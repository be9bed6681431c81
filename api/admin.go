package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
	"time"

	"github.com/go-chi/chi/v5"

	"highwater/hwm"
	"highwater/hwm/bundle"
	"highwater/internal/actor"
	"highwater/internal/history"
	"highwater/internal/tezos"
	"highwater/operate"
	"highwater/signer"
)

// Bounds of bodies on the admin socket.
const (
	maxAdminBody   = 8 << 20 // an import of some ten thousand rows
	maxAdminAnswer = 64 << 20
)

// noDeadline lifts a connection's time-outs.
var noDeadline time.Time

// adminError is an error on the admin socket.
type adminError struct {
	Text string `json:"error"`
	Hint string `json:"hint,omitempty"`
	// Reason is the word of operate.ReasonOf.
	Reason string `json:"reason,omitempty"`
}

// NewAdmin gives the handler of the admin socket. Every process able to connect to the socket may do all acts: the mode
// of the socket is the lock.
func NewAdmin(a operate.Admin) http.Handler {
	r := chi.NewRouter()
	r.Use(reasoned)
	r.Get("/v1/status", read(a.Status))
	r.Get("/v1/history", read(allSeries(a)))
	r.Get("/v1/keys", read(a.Keys))
	r.Get("/v1/marks", read(a.Marks))
	r.Get("/v1/bundle", read(a.Bundle))
	r.Get("/v1/journal", read(a.Journal))
	r.Post("/v1/prove", act(a.Prove))
	r.Post("/v1/marks/raise", act(a.Raise))
	r.Post("/v1/ceilings", act(a.SetCeiling))
	r.Post("/v1/activate", act(a.Activate))
	r.Post("/v1/standby", act(a.Standby))
	r.Post("/v1/acknowledge", act(a.Acknowledge))
	r.Post("/v1/devices/raise", unhurried(
		act(func(ctx context.Context, _ struct{}) ([]signer.DeviceMarks, error) { return a.RaiseDevices(ctx) })))
	r.Post("/v1/devices/{name}/call", deviceCall(a.Devices))
	failoverRoutes(r, a.Failover)
	r.NotFound(func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusNotFound, badAct("nothing is at "+shorten(r.URL.Path)))
	})
	r.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		text := fmt.Sprintf("%s is not answered at %s", shorten(r.Method), shorten(r.URL.Path))
		writeJSON(w, http.StatusMethodNotAllowed, badAct(text))
	})
	return adminHandler{r}
}

// adminHandler knows the user behind each connection, for the journal.
type adminHandler struct{ chi.Router }

// ConnContext asks the kernel for the user at the other end.
func (adminHandler) ConnContext(ctx context.Context, c net.Conn) context.Context {
	if who, ok := actor.Of(c); ok {
		return actor.With(ctx, who)
	}
	return ctx
}

// reasonHeader carries the operator's reason for an act, escaped as in a query.
const reasonHeader = "Highwater-Reason"

// reasoned keeps the reason of a request. A reason that cannot be read is no reason.
func reasoned(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if why, err := url.QueryUnescape(r.Header.Get(reasonHeader)); err == nil && why != "" {
			r = r.WithContext(actor.WithReason(r.Context(), hwm.CutWhy(why)))
		}
		next.ServeHTTP(w, r)
	})
}

// ask sends a request to the daemon, with the reason of ctx.
func (c *Client) ask(ctx context.Context, method, path string, content []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://highwater"+path, bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	if why := hwm.CutWhy(actor.Reason(ctx)); why != "" {
		req.Header.Set(reasonHeader, url.QueryEscape(why))
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, lost(ctx, method, path, err)
	}
	return resp, nil
}

// badAct is the error of a request that is no act of this daemon.
func badAct(text string) adminError {
	return adminError{Text: text, Hint: "are the command and the daemon of the same version?", Reason: operate.BadRequest}
}

func read[T any](f func(context.Context) (T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := f(r.Context())
		answer(w, v, err)
	}
}

func act[Q, T any](f func(context.Context, Q) (T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q, err := readAct[Q](http.MaxBytesReader(w, r.Body, maxAdminBody))
		if err != nil {
			writeJSON(w, http.StatusBadRequest, badAct("the request cannot be read: "+err.Error()))
			return
		}
		v, err := f(r.Context(), q)
		answer(w, v, err)
	}
}

// readAct reads one JSON object and nothing else: null would be an act with every field zero.
func readAct[Q any](r io.Reader) (out Q, err error) {
	var q *Q
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&q); err != nil {
		return out, err
	}
	if q == nil {
		return out, errors.New("the body is null")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return out, errors.New("something follows the JSON object")
	}
	return *q, nil
}

func answer(w http.ResponseWriter, v any, err error) {
	if err == nil {
		writeJSON(w, http.StatusOK, v)
		return
	}
	writeJSON(w, statusOf(err), toAdminError(err))
}

// Client speaks with a daemon through its admin socket.
type Client struct {
	http  *http.Client
	limit time.Duration // for all requests, in tests; zero: the limits of patienceFor
}

// Admin gives all use cases, each asked of the daemon.
func (c *Client) Admin() operate.Admin {
	return operate.Admin{Monitor: c, Alarms: c, Keyring: c, Watermarks: c, Roles: c, Devices: c, Failover: c}
}

// ErrNoDaemon is returned by Dial when no process listens at the socket.
var ErrNoDaemon = errors.New("no daemon listens at the admin socket")

// RemoteError is an error in an answer of the daemon.
type RemoteError struct {
	Status int
	Text   string
	Hint   string
	Reason string // the word of operate.ReasonOf: "too_far"; empty from an earlier version
}

func (e *RemoteError) Error() string { return e.Text }

// ReasonWord is the reason for programs. An earlier daemon gives none.
func (e *RemoteError) ReasonWord() string { return cmp.Or(e.Reason, operate.Broken) }

// HintText is what to do.
func (e *RemoteError) HintText() string { return e.Hint }

// Dial connects to the daemon at a unix socket. The error wraps ErrNoDaemon when certainly no daemon listens.
func Dial(ctx context.Context, socket string) (*Client, error) {
	dial := func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "unix", socket)
	}
	probe, err := dial(ctx)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("%w: %w", ErrNoDaemon, err)
	}
	if err != nil {
		return nil, err // a daemon may listen there
	}
	if err := probe.Close(); err != nil {
		return nil, err
	}
	return &Client{http: &http.Client{Transport: &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		DisableKeepAlives: true,
	}}}, nil
}

func call[T any](ctx context.Context, c *Client, method, path string, body any) (out T, err error) {
	var content []byte
	if body != nil {
		if content, err = json.Marshal(body); err != nil {
			return out, err
		}
	}
	ctx, cancel, late := c.bounded(ctx, method, path, limitOf(path))
	defer cancel()
	resp, err := c.ask(ctx, method, path, content)
	if err != nil {
		return out, late(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAdminAnswer))
	if err != nil {
		return out, late(lost(ctx, method, path, err))
	}
	if resp.StatusCode != http.StatusOK {
		var e adminError
		if err = json.Unmarshal(answer, &e); err != nil || e.Text == "" {
			return out, fmt.Errorf("the daemon answered %s", resp.Status)
		}
		return out, &RemoteError{resp.StatusCode, e.Text, e.Hint, e.Reason}
	}
	err = json.Unmarshal(answer, &out)
	return out, err
}

// Status gives the whole state of the instance.
func (c *Client) Status(ctx context.Context) (operate.Status, error) {
	return call[operate.Status](ctx, c, http.MethodGet, "/v1/status", nil)
}

// History gives the latest levels of each key and kind.
func (c *Client) History(ctx context.Context, most int) (all []history.Series, left int, err error) {
	all, err = call[[]history.Series](ctx, c, http.MethodGet, "/v1/history", nil)
	if most > 0 && len(all) > most {
		all, left = all[:most], len(all)-most
	}
	return all, left, err
}

// Keys lists the keys.
func (c *Client) Keys(ctx context.Context) ([]operate.KeyRow, error) {
	return call[[]operate.KeyRow](ctx, c, http.MethodGet, "/v1/keys", nil)
}

// Marks lists the marks.
func (c *Client) Marks(ctx context.Context) ([]operate.MarkRow, error) {
	return call[[]operate.MarkRow](ctx, c, http.MethodGet, "/v1/marks", nil)
}

// Prove gives the proof of possession of a tz4 key.
func (c *Client) Prove(ctx context.Context, pkh tezos.PublicKeyHash) (operate.Proof, error) {
	return call[operate.Proof](ctx, c, http.MethodPost, "/v1/prove", pkh)
}

// Raise merges floors by maximum.
func (c *Client) Raise(ctx context.Context, r operate.RaiseRequest) ([]operate.ChangeRow, error) {
	return call[[]operate.ChangeRow](ctx, c, http.MethodPost, "/v1/marks/raise", r)
}

// SetCeiling sets or lowers ceilings.
func (c *Client) SetCeiling(ctx context.Context, r operate.CeilingRequest) ([]operate.CeilingRow, error) {
	return call[[]operate.CeilingRow](ctx, c, http.MethodPost, "/v1/ceilings", r)
}

// Activate begins signing at the instance.
func (c *Client) Activate(ctx context.Context, r operate.ActivateRequest) (operate.Role, error) {
	return call[operate.Role](ctx, c, http.MethodPost, "/v1/activate", r)
}

// Standby ends signing.
func (c *Client) Standby(ctx context.Context, r operate.StandbyRequest) (operate.Role, error) {
	return call[operate.Role](ctx, c, http.MethodPost, "/v1/standby", r)
}

// Acknowledge ends alarms.
func (c *Client) Acknowledge(ctx context.Context, r operate.AcknowledgeRequest) ([]signer.Alarm, error) {
	return call[[]signer.Alarm](ctx, c, http.MethodPost, "/v1/acknowledge", r)
}

// Bundle asks the daemon for a signed bundle.
func (c *Client) Bundle(ctx context.Context) (bundle.Bundle, error) {
	return call[bundle.Bundle](ctx, c, http.MethodGet, "/v1/bundle", nil)
}

// Journal gives the acts with their reasons, oldest first.
func (c *Client) Journal(ctx context.Context) ([]hwm.JournalEntry, error) {
	return call[[]hwm.JournalEntry](ctx, c, http.MethodGet, "/v1/journal", nil)
}
