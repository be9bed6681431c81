// Package api is Highwater's HTTP: the octez endpoints, the admin socket with its client, and the monitor listener.
package api

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-chi/chi/v5"

	"highwater/internal/door"
	"highwater/internal/tezos"
)

// MaxBody bounds the body of a request, in bytes. The body is read before authentication; the longest payload is some
// hundred bytes, in hex.
const MaxBody = 8 << 10

// octez is the HTTP of the answers.
type octez struct{ *Answers }

// HTTP gives the handler of the octez endpoints.
func (a *Answers) HTTP() http.Handler {
	o := octez{a}
	endpoints := chi.NewRouter()
	endpoints.Get("/authorized_keys", o.authorizedKeys)
	endpoints.Get("/known_keys", o.knownKeys)
	endpoints.Get("/keys/{pkh}", o.publicKey)
	endpoints.Post("/keys/{pkh}", o.sign)
	endpoints.Get("/bls_prove_possession/{pkh}", o.provePossession)
	endpoints.NotFound(o.nothingHere)
	endpoints.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if endpoints.Match(chi.NewRouteContext(), method, r.URL.Path) {
				w.Header().Add("Allow", method)
			}
		}
		o.turnAway(w, r, door.WrongPath, http.StatusMethodNotAllowed,
			fmt.Sprintf("%s is not answered at %s", shorten(r.Method), shorten(r.URL.Path)), "")
	})
	prefixed := o.behind(strings.TrimRight(squeeze(a.Prefix), "/"), endpoints)
	return fromOutside(withoutEmptySegments(prefixed),
		func(w http.ResponseWriter, r *http.Request, status int, text, hint string) {
			o.turnAway(w, r, door.WebPage, status, text, hint)
		})
}

// turnAway answers a request before a key is known, and tells the door.
func (o octez) turnAway(w http.ResponseWriter, r *http.Request, cause door.Cause, status int, text, hint string) {
	o.Door.TurnAway(door.ClientOf(r.RemoteAddr), cause, text)
	writeError(w, status, text, hint)
}

// behind puts a handler behind a path prefix. Other paths get octez's kind of error, not given by http.StripPrefix.
func (o octez) behind(prefix string, h http.Handler) http.Handler {
	if prefix == "" {
		return h
	}
	stripped := http.StripPrefix(prefix, h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, prefix+"/") || r.URL.RawPath != "" &&
			!strings.HasPrefix(r.URL.RawPath, prefix+"/") {
			o.nothingHere(w, r)
			return
		}
		stripped.ServeHTTP(w, r)
	})
}

func (o octez) nothingHere(w http.ResponseWriter, r *http.Request) {
	text := fmt.Sprintf("nothing is at %s", shorten(r.URL.Path))
	if o.Prefix != "" {
		text += ": every path here starts with " + shorten(o.Prefix)
	}
	o.turnAway(w, r, door.WrongPath, http.StatusNotFound, text, "")
}

func (o octez) authorizedKeys(w http.ResponseWriter, _ *http.Request) {
	if len(o.AuthorizedKeys) == 0 {
		writeJSON(w, http.StatusOK, struct{}{})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"authorized_keys": o.Authorized()})
}

func (o octez) knownKeys(w http.ResponseWriter, _ *http.Request) {
	hashes, err := o.Known()
	if err != nil {
		writeFailure(w, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"known_keys": hashes})
}

func (o octez) publicKey(w http.ResponseWriter, r *http.Request) {
	pkh, ok := o.pathKey(w, r)
	if !ok {
		return
	}
	key, err := o.PublicKey(door.ClientOf(r.RemoteAddr), pkh)
	if err != nil {
		writeFailure(w, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"public_key": key})
}

func (o octez) sign(w http.ResponseWriter, r *http.Request) {
	id := o.NextID()
	w.Header().Set("X-Request-Id", id)
	pkh, ok := o.pathKey(w, r)
	if !ok {
		return
	}
	q, err := readQuestion(w, r)
	q.ID, q.PKH, q.Client = id, pkh, door.ClientOf(r.RemoteAddr)
	if err != nil {
		o.Unreadable(q, err)
		writeFailure(w, err)
		return
	}
	sig, report, err := o.Sign(r.Context(), q)
	defer report()
	if err != nil {
		writeFailure(w, err)
		return
	}
	writeBody(w, http.StatusOK, []byte(`{"signature":"`+sig.String()+`"}`)) // base58 needs no escapes in JSON
	// The answer leaves before the line of the log is written. An answer not sent has no reader left.
	_ = http.NewResponseController(w).Flush()
}

// readQuestion reads body and query of a request for a signature.
func readQuestion(w http.ResponseWriter, r *http.Request) (q Question, err error) {
	if q.Payload, err = readPayload(w, r); err != nil {
		return q, err
	}
	query, err := readQuery(r)
	q.Versions = query["version"]
	q.Signed = func() ([]tezos.Signature, error) { return parseSignatures(query["authentication"]) }
	return q, err
}

func parseSignatures(texts []string) (out []tezos.Signature, err error) {
	for _, text := range texts {
		sig, err := tezos.ParseSignature(text)
		if err != nil {
			return nil, err
		}
		out = append(out, sig)
	}
	return out, nil
}

func (o octez) provePossession(w http.ResponseWriter, r *http.Request) {
	pkh, ok := o.pathKey(w, r)
	if !ok {
		return
	}
	query, unread := readQuery(r)
	proof, err := o.Prove(r.Context(), ProofQuestion{
		Client: door.ClientOf(r.RemoteAddr), PKH: pkh,
		Over:   func() ([]byte, error) { return overKey(query["bls_pk"], unread) },
		Signed: func() ([]tezos.Signature, error) { return parseSignatures(query["authentication"]) },
	})
	if err != nil {
		writeFailure(w, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"bls_prove_possession": proof})
}

// overKey is the raw key to be proven of a query; none: the key's own. unread is the error of reading the query.
func overKey(texts []string, unread error) (over []byte, err error) {
	if unread != nil {
		return nil, unread
	}
	for _, text := range texts {
		key, err := tezos.ParsePublicKey(text)
		if err != nil || over != nil && !bytes.Equal(over, key.Bytes()) {
			return nil, errOtherKey
		}
		over = key.Bytes()
	}
	return over, nil
}

// pathKey reads the key of the path, or answers with an error.
func (o octez) pathKey(w http.ResponseWriter, r *http.Request) (tezos.PublicKeyHash, bool) {
	text, err := url.PathUnescape(chi.URLParam(r, "pkh")) // chi matches the path as sent
	var pkh tezos.PublicKeyHash
	if err == nil {
		pkh, err = tezos.ParsePublicKeyHash(text)
	}
	if err != nil {
		o.turnAway(w, r, door.WrongAddress, http.StatusBadRequest, fmt.Sprintf("the address in the path: %v", err), "")
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
		text := "the body is " + shorten(strings.Join(r.Header.Values("Content-Type"), ", ")) + ": expected application/json"
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
