package wire

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"io"
	"math"
	"time"

	"highwater/hwm"
	"highwater/internal/hints"
	"highwater/internal/loghead"
	"highwater/internal/tezos"
)

// MaxPast is how far the chain may be past the cut-over of a certificate in a file: ten minutes of blocks.
const MaxPast = 100

// Certificate gives an epoch, and the right to sign with the epoch, from one instance to its peer. A certificate is
// made only after the end of the giver's signing is durable.
type Certificate struct {
	Protocol int            `json:"protocol"`
	Chain    tezos.ChainID  `json:"chain"`
	From     hwm.InstanceID `json:"from"`
	To       hwm.InstanceID `json:"to"`
	Epoch    uint64         `json:"epoch"`
	// Level is the cut-over of a release by level: From signs nothing above Level, To nothing at or below Level. Null:
	// From signs nothing.
	Level *int32 `json:"level,omitempty"`
	Marks []Mark `json:"marks"` // of From; final without a level
	// AuditHead is the head of From's audit log, taken before the marks; null: no audit log told its head. No signature in
	// the log up to the head is above Marks.
	AuditHead *loghead.Head `json:"audit_head,omitempty"`
	// Nonce is the nonce of the question. A certificate in a file has none, and is always by level.
	Nonce     string    `json:"nonce,omitempty"`
	When      time.Time `json:"when"` // UTC, to the millisecond
	Signature string    `json:"signature"`
}

// signing keeps the signature of a certificate apart from all other signatures of the key.
const signing = "highwater certificate 1\n"

// message gives the signed bytes: the certificate without its signature.
func (c Certificate) message() ([]byte, error) {
	c.Signature = ""
	body, err := json.Marshal(c)
	return append([]byte(signing), body...), err
}

// Sign gives the certificate with the signature of identity, the ed25519 key of From. The time is cut to milliseconds.
func (c Certificate) Sign(identity crypto.Signer) (*Certificate, error) {
	c.When = c.When.UTC().Truncate(time.Millisecond)
	message, err := c.message()
	if err != nil {
		return nil, err
	}
	sig, err := identity.Sign(rand.Reader, message, crypto.Hash(0))
	if err != nil {
		return nil, err
	}
	c.Signature = hex.EncodeToString(sig)
	return &c, nil
}

// Verify checks the signature of From.
func (c *Certificate) Verify() error {
	sig, err := hex.DecodeString(c.Signature)
	if err != nil || len(sig) != ed25519.SignatureSize {
		return Refuse(WrongKey, "", "the certificate has no signature")
	}
	message, err := c.message()
	if err != nil {
		return err
	}
	if !ed25519.Verify(c.From[:], message, sig) {
		return Refuse(WrongKey, "the certificate was changed on the way, or another instance made the certificate",
			"the certificate's signature is wrong")
	}
	return nil
}

// ForFile refuses a certificate that is not for a file: a certificate without a level, or an answer to a question.
func (c *Certificate) ForFile() error {
	if c.Nonce != "" || c.Level == nil {
		return Refuse(OldAnswer, "on the peer's machine: "+hints.Level(ReleaseCommand, 0),
			"the certificate was an answer, and is not for a file")
	}
	return nil
}

func (c *Certificate) sound() error {
	if len(c.Nonce) > maxNonce || c.Epoch > MaxEpoch || c.Level != nil &&
		(*c.Level < 0 || *c.Level > math.MaxInt32-MaxPast) || c.Nonce == "" && c.Level == nil ||
		c.AuditHead != nil && !c.AuditHead.Sound() {
		return unreadable("a certificate with impossible fields")
	}
	return soundMarks(c.Marks)
}

// EncodeCertificate gives the bytes of a certificate's file.
func EncodeCertificate(c *Certificate) ([]byte, error) {
	b, err := json.MarshalIndent(c, "", "  ")
	return append(b, '\n'), err
}

// ParseCertificate reads the bytes of a certificate's file. Verify checks the signature.
func ParseCertificate(b []byte) (*Certificate, error) {
	if len(b) > maxMessage {
		return nil, unreadable("a certificate of %d bytes is too long", len(b))
	}
	c := &Certificate{}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(c); err != nil {
		return nil, unreadable("not a certificate: %v", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, unreadable("not a certificate: something follows the certificate")
	}
	if c.Protocol != Protocol {
		return nil, Refuse(WrongVersion, "run the same version of highwater on both machines",
			"the certificate is of version %d, and version %d is readable here", c.Protocol, Protocol)
	}
	if err := c.sound(); err != nil {
		return nil, err
	}
	return c, nil
}
