// Package api is Highwater's HTTP: the octez endpoints, the admin socket with its client, and the monitor listener.
package api

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"highwater/internal/tezos"
	"highwater/signer"
)

// Signing is the part of a signer behind the octez endpoints.
type Signing interface {
	Sign(ctx context.Context, pkh tezos.PublicKeyHash, payload []byte) (tezos.Signature, error)
	PublicKey(pkh tezos.PublicKeyHash) (*tezos.PublicKey, error)
	Prove(ctx context.Context, pkh tezos.PublicKeyHash) (tezos.Signature, error)
	Keys() []signer.KeyInfo
}

// OctezConfig configures the octez endpoints.
type OctezConfig struct {
	Signer          Signing
	AuthorizedKeys  []*tezos.PublicKey // clients that may ask; empty: no authentication
	KnownKeys       bool               // answer /known_keys
	ProvePossession bool               // answer /bls_prove_possession
	Prefix          string             // "" or "/some/prefix"
	Budget          time.Duration      // of one request; zero: DefaultBudget
	Log             *slog.Logger
}

// DefaultBudget is the time of a request, faults of devices included.
const DefaultBudget = 3 * time.Second

// registrationBudget is the time of a delegation: a person confirms a delegation on the device.
const registrationBudget = 50 * time.Second

// MaxBody bounds the body of a request, in bytes. The body is read before authentication; the longest payload is some
// hundred bytes, in hex.
const MaxBody = 8 << 10

type octez struct {
	OctezConfig
	ids *requestIDs
}

// NewOctez gives the handler of the octez endpoints. Signing alone changes state.
func NewOctez(cfg OctezConfig) http.Handler {
	if cfg.Budget == 0 {
		cfg.Budget = DefaultBudget
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	o := &octez{cfg, newRequestIDs()}
	endpoints := chi.NewRouter()
	endpoints.Get("/authorized_keys", o.authorizedKeys)
	endpoints.Get("/known_keys", o.knownKeys)
	endpoints.Get("/keys/{pkh}", o.publicKey)
	endpoints.Post("/keys/{pkh}", o.sign)
	endpoints.Get("/bls_prove_possession/{pkh}", o.provePossession)
	endpoints.NotFound(nothingHere)
	endpoints.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if endpoints.Match(chi.NewRouteContext(), method, r.URL.Path) {
				w.Header().Add("Allow", method)
			}
		}
		writeError(w, http.StatusMethodNotAllowed, fmt.Sprintf("%s is not answered at %s", shorten(r.Method), shorten(r.URL.Path)), "")
	})
	return fromOutside(withoutEmptySegments(behind(strings.TrimRight(squeeze(cfg.Prefix), "/"), endpoints)), writeError)
}

// behind puts a handler behind a path prefix. Other paths get octez's kind of error, not given by http.StripPrefix.
func behind(prefix string, h http.Handler) http.Handler {
	if prefix == "" {
		return h
	}
	stripped := http.StripPrefix(prefix, h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, prefix+"/") || r.URL.RawPath != "" && !strings.HasPrefix(r.URL.RawPath, prefix+"/") {
			nothingHere(w, r)
			return
		}
		stripped.ServeHTTP(w, r)
	})
}

func nothingHere(w http.ResponseWriter, r *http.Request) {
	writeError(w, http.StatusNotFound, fmt.Sprintf("nothing is at %s", shorten(r.URL.Path)), "")
}

func (o *octez) authorizedKeys(w http.ResponseWriter, _ *http.Request) {
	if len(o.AuthorizedKeys) == 0 {
		writeJSON(w, http.StatusOK, struct{}{})
		return
	}
	hashes := make([]tezos.PublicKeyHash, 0, len(o.AuthorizedKeys))
	for _, k := range o.AuthorizedKeys {
		hashes = append(hashes, k.Hash())
	}
	writeJSON(w, http.StatusOK, map[string]any{"authorized_keys": hashes})
}

func (o *octez) knownKeys(w http.ResponseWriter, _ *http.Request) {
	if !o.KnownKeys {
		writeError(w, http.StatusForbidden, "listing the known keys is switched off", "known_keys = true in [server] switches it on")
		return
	}
	hashes := []tezos.PublicKeyHash{}
	for _, k := range o.Signer.Keys() {
		if k.PublicKey != nil {
			hashes = append(hashes, k.PKH)
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"known_keys": hashes})
}

func (o *octez) publicKey(w http.ResponseWriter, r *http.Request) {
	_, key, ok := o.heldKey(w, r)
	if !ok {
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"public_key": key})
}

func (o *octez) sign(w http.ResponseWriter, r *http.Request) {
	id := o.ids.next()
	w.Header().Set("X-Request-Id", id)
	pkh, ok := pathKey(w, r)
	if !ok {
		return
	}
	payload, err := readPayload(w, r)
	if err != nil {
		o.Log.Warn("undecodable request", "request_id", id, "pkh", pkh.String(), "error", err)
		writeFailure(w, err)
		return
	}
	query, err := readQuery(r)
	if err != nil {
		writeFailure(w, err)
		return
	}
	if err = checkVersion(pkh, query["version"]); err != nil {
		writeFailure(w, err)
		return
	}
	if err = o.authenticate(pkh, payload, query["authentication"]); err != nil {
		o.Log.Warn("unauthenticated request", "request_id", id, "pkh", pkh.String(), "error", err)
		writeFailure(w, err)
		return
	}
	budget := o.Budget
	if tezos.IsRegistration(payload) {
		budget = registrationBudget
	}
	ctx, cancel := context.WithTimeout(r.Context(), budget)
	defer cancel()
	ctx, report := signer.WithRequest(ctx, id)
	defer report()
	sig, err := o.Signer.Sign(ctx, pkh, payload)
	if err != nil {
		writeFailure(w, err)
		return
	}
	writeBody(w, http.StatusOK, []byte(`{"signature":"`+sig.String()+`"}`)) // base58 needs no escapes in JSON
	// The answer leaves before the line of the log is written. An answer not sent has no reader left.
	_ = http.NewResponseController(w).Flush()
}

func (o *octez) provePossession(w http.ResponseWriter, r *http.Request) {
	if !o.ProvePossession {
		writeError(w, http.StatusForbidden, "proofs of possession are switched off", "prove_possession = true in [server] switches them on")
		return
	}
	pkh, key, ok := o.heldKey(w, r)
	if !ok {
		return
	}
	query, err := readQuery(r)
	if err != nil {
		writeFailure(w, err)
		return
	}
	if slices.ContainsFunc(query["bls_pk"], func(pk string) bool { return pk != key.String() }) {
		writeError(w, http.StatusForbidden, "a proof is given for the key itself only, not for another bls_pk", "")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), o.Budget)
	defer cancel()
	proof, err := o.Signer.Prove(ctx, pkh)
	if err != nil {
		writeFailure(w, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"bls_prove_possession": proof})
}

// heldKey finds the key of the path among the keys of the signer, or answers with an error.
func (o *octez) heldKey(w http.ResponseWriter, r *http.Request) (tezos.PublicKeyHash, *tezos.PublicKey, bool) {
	pkh, ok := pathKey(w, r)
	if !ok {
		return pkh, nil, false
	}
	key, err := o.Signer.PublicKey(pkh)
	if err != nil {
		writeFailure(w, err)
		return pkh, nil, false
	}
	return pkh, key, true
}

// pathKey reads the key of the path, or answers with an error.
func pathKey(w http.ResponseWriter, r *http.Request) (tezos.PublicKeyHash, bool) {
	text, err := url.PathUnescape(chi.URLParam(r, "pkh")) // chi matches the path as sent
	var pkh tezos.PublicKeyHash
	if err == nil {
		pkh, err = tezos.ParsePublicKeyHash(text)
	}
	if err != nil {
		writeFailure(w, badRequest("the address in the path: %v", err))
		return tezos.PublicKeyHash{}, false
	}
	return pkh, true
}

// readQuery reads the query whole or not at all: url.URL.Query leaves out unreadable parts.
func readQuery(r *http.Request) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("the query cannot be read: %v", err)
	}
	return query, nil
}

// readPayload reads a body of a JSON string of hex.
func readPayload(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if !jsonBody(r) {
		text := "the body is " + shorten(r.Header.Get("Content-Type")) + ": expected application/json"
		return nil, &statusError{http.StatusUnsupportedMediaType, text}
	}
	if r.ContentLength > MaxBody { // not waited for
		return nil, badRequest("the body has %d bytes, and may have %d", r.ContentLength, MaxBody)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		return nil, badRequest("the body could not be read (at most %d bytes): %v", MaxBody, err)
	}
	return decodePayload(body)
}

// decodePayload reads a JSON string of hex, upper or lower case, without 0x, followed by white space only.
func decodePayload(body []byte) ([]byte, error) {
	if payload, plain := plainHex(body); plain {
		return payload, nil
	}
	if len(strings.TrimSpace(string(body))) == 0 {
		return nil, badRequest("the body is empty: expected a JSON string of hex")
	}
	var text *string
	if err := json.Unmarshal(body, &text); err != nil || text == nil {
		return nil, badRequest("the body is not a JSON string of hex")
	}
	payload, err := hex.DecodeString(*text)
	if err != nil {
		return nil, badRequest("the body's string is not hex: %s", strings.TrimPrefix(err.Error(), "encoding/hex: "))
	}
	return payload, nil
}

// plainHex reads the usual body: a string of hex digits and nothing else. The JSON decoder judges all other bodies.
func plainHex(body []byte) (payload []byte, ok bool) {
	text := bytes.Trim(body, " \t\r\n")
	last := len(text) - 1
	if last < 1 || text[0] != '"' || text[last] != '"' {
		return nil, false
	}
	payload = make([]byte, hex.DecodedLen(last-1))
	_, err := hex.Decode(payload, text[1:last])
	return payload, err == nil
}

// checkVersion refuses the signature versions of other BLS schemes. For other curves the version means nothing.
func checkVersion(pkh tezos.PublicKeyHash, versions []string) error {
	if pkh.Curve != tezos.BLS12381 {
		return nil
	}
	for _, v := range versions {
		if v != "2" && v != "3" {
			return badRequest("signature version %s is another BLS scheme: only 2 and 3 are signed", shorten(v))
		}
	}
	return nil
}

// authBytes is the message signed by a client: 04 · 01 · binary public key hash · payload (Octez,
// src/lib_signer_services).
func authBytes(pkh tezos.PublicKeyHash, payload []byte) []byte {
	return append(append([]byte{0x04, 0x01}, pkh.Bytes()...), payload...)
}

func (o *octez) authenticate(pkh tezos.PublicKeyHash, payload []byte, given []string) error {
	if len(o.AuthorizedKeys) == 0 {
		return nil
	}
	if len(given) != 1 {
		return &statusError{status: http.StatusUnauthorized, text: "the request is not authenticated: " +
			"highwater wants a signature by an authorized key"}
	}
	sig, err := tezos.ParseSignature(given[0])
	if err != nil {
		return &statusError{status: http.StatusUnauthorized, text: "the authentication: " + err.Error()}
	}
	message := authBytes(pkh, payload)
	for _, k := range o.AuthorizedKeys {
		if k.Verify(message, sig) == nil {
			return nil
		}
	}
	return &statusError{status: http.StatusUnauthorized, text: "the authentication is not by an authorized key, " +
		"or for a different request"}
}
