package api

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"time"

	"highwater/internal/door"
	"highwater/internal/hints"
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
	Door            *door.Door         // nil: everybody may ask, and nobody is told of
	Log             *slog.Logger
}

// DefaultBudget is the time of a request, faults of devices included.
const DefaultBudget = 3 * time.Second

// registrationBudget is the time of a delegation: a person confirms a delegation on the device.
const registrationBudget = 50 * time.Second

// Answers answers the questions of octez, over whichever transport they come. Signing alone changes state.
type Answers struct {
	OctezConfig
	ids *requestIDs
}

// NewAnswers fills in the defaults.
func NewAnswers(cfg OctezConfig) *Answers {
	if cfg.Budget == 0 {
		cfg.Budget = DefaultBudget
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Door == nil {
		cfg.Door = door.New(door.Config{})
	}
	return &Answers{cfg, newRequestIDs()}
}

// NextID names the next request for a signature, for the log.
func (a *Answers) NextID() string { return a.ids.next() }

// Authorized gives the hashes of the permitted clients' keys; none: no authentication is wanted.
func (a *Answers) Authorized() []tezos.PublicKeyHash {
	var out []tezos.PublicKeyHash
	for _, k := range a.AuthorizedKeys {
		out = append(out, k.Hash())
	}
	return out
}

// Known gives the known keys, or a refusal where listing is switched off.
func (a *Answers) Known() ([]tezos.PublicKeyHash, error) {
	if !a.KnownKeys {
		return nil, hints.Add(&statusError{http.StatusForbidden, "listing the known keys is switched off"},
			"known_keys = true in [server] switches it on")
	}
	out := []tezos.PublicKeyHash{}
	for _, k := range a.Signer.Keys() {
		if k.PublicKey != nil {
			out = append(out, k.PKH)
		}
	}
	return out, nil
}

// Question is a request for a signature.
type Question struct {
	ID       string // of NextID
	Client   string // of door.Client
	PKH      tezos.PublicKeyHash
	Payload  []byte                            // watermark byte first
	Versions []string                          // signature versions that the client names
	Signed   func() ([]tezos.Signature, error) // authentications given; called only when one is wanted
}

// Sign answers a request for a signature. The caller sends the answer, and calls report afterwards: the answer waits
// for no log.
func (a *Answers) Sign(ctx context.Context, q Question) (sig tezos.Signature, report func(), err error) {
	report = func() {}
	if err = checkVersion(q.PKH, q.Versions); err != nil {
		a.Unreadable(q, err)
		return sig, report, err
	}
	if err = a.authenticate(authBytes(q.PKH, q.Payload), q.Signed); err != nil {
		a.Door.TurnAway(q.Client, door.Unauthenticated, err.Error(), "request_id", q.ID, "pkh", q.PKH.String())
		return sig, report, err
	}
	if err = a.notTooMany(q); err != nil {
		return sig, report, err
	}
	budget := a.Budget
	if tezos.IsRegistration(q.Payload) {
		budget = registrationBudget
	}
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	ctx, report = signer.WithRequest(ctx, q.ID, q.Client)
	sig, err = a.Signer.Sign(ctx, q.PKH, q.Payload)
	return sig, report, err
}

// Unreadable tells the door of a request for a signature that cannot be read.
func (a *Answers) Unreadable(q Question, err error) {
	a.Door.TurnAway(q.Client, door.Undecodable, err.Error(), "request_id", q.ID, "pkh", q.PKH.String())
}

// PublicKey gives the public key of an address; the door is told of a client that asks for an unknown one.
func (a *Answers) PublicKey(client string, pkh tezos.PublicKeyHash) (*tezos.PublicKey, error) {
	key, err := a.Signer.PublicKey(pkh)
	if err != nil {
		a.Door.TurnAway(client, door.UnknownKey, err.Error(), "pkh", pkh.String())
	}
	return key, err
}

// ProofQuestion is a request for a proof of possession.
type ProofQuestion struct {
	Client string // of door.Client
	PKH    tezos.PublicKeyHash
	Over   func() ([]byte, error)            // the BLS key to be proven, raw; none: the key's own
	Signed func() ([]tezos.Signature, error) // authentications given; called only when one is wanted
}

// errOtherKey refuses a proof for a key that the client chooses.
var errOtherKey = &statusError{
	http.StatusForbidden, "a proof is given for the key itself only, not for another bls_pk",
}

// Prove answers a request for a proof of possession. Only the key itself is proven.
func (a *Answers) Prove(ctx context.Context, q ProofQuestion) (tezos.Signature, error) {
	if !a.ProvePossession {
		return tezos.Signature{}, hints.Add(&statusError{http.StatusForbidden, "proofs of possession are switched off"},
			"prove_possession = true in [server] switches them on")
	}
	over, err := q.Over()
	if err != nil {
		return tezos.Signature{}, err
	}
	if err = a.authenticate(proofAuthBytes(q.PKH, over), q.Signed); err != nil {
		a.Door.TurnAway(q.Client, door.Unauthenticated, err.Error(), "pkh", q.PKH.String())
		return tezos.Signature{}, hints.Add(err, "older versions of octez-client authenticate no proof: "+
			"`highwater keys pop` prints the proof on the signer's machine")
	}
	key, err := a.Signer.PublicKey(q.PKH)
	if err != nil {
		return tezos.Signature{}, err
	}
	if len(over) > 0 && !bytes.Equal(over, key.Bytes()) {
		return tezos.Signature{}, errOtherKey
	}
	ctx, cancel := context.WithTimeout(ctx, a.Budget)
	defer cancel()
	return a.Signer.Prove(ctx, q.PKH)
}

// notTooMany refuses a client that asks for a key too often. All unknown keys count as one.
func (a *Answers) notTooMany(q Question) error {
	if a.Door.Rate == 0 {
		return nil
	}
	key := ""
	if _, err := a.Signer.PublicKey(q.PKH); err == nil {
		key = q.PKH.String()
	}
	if a.Door.Allows(q.Client, key) {
		return nil
	}
	err := &statusError{http.StatusForbidden, "too many requests of this client for this key: server.rate is the limit"}
	a.Door.TurnAway(q.Client, door.TooMany, err.Error(), "request_id", q.ID, "pkh", q.PKH.String())
	return err
}

// ErrorText is an error as clients are told of it.
func ErrorText(err error) string { return textWithHint(err.Error(), hints.Of(err)) }

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

// proofAuthBytes is the message signed by a client for a proof: 04 · 04 · binary public key hash · raw key to be proven,
// if the client names one (Octez, src/lib_signer_services).
func proofAuthBytes(pkh tezos.PublicKeyHash, over []byte) []byte {
	return append(append([]byte{0x04, 0x04}, pkh.Bytes()...), over...)
}

// authenticate verifies that an authorized key signed the message of a request.
func (a *Answers) authenticate(message []byte, signed func() ([]tezos.Signature, error)) error {
	if len(a.AuthorizedKeys) == 0 {
		return nil
	}
	given, err := signed()
	if err != nil {
		return &statusError{http.StatusUnauthorized, "the authentication: " + err.Error()}
	}
	if len(given) != 1 {
		return &statusError{http.StatusUnauthorized, "the request is not authenticated: " +
			"highwater wants a signature by an authorized key"}
	}
	for _, k := range a.AuthorizedKeys {
		if k.Verify(message, given[0]) == nil {
			return nil
		}
	}
	return &statusError{http.StatusUnauthorized, "the authentication is not by an authorized key, " +
		"or for a different request"}
}
