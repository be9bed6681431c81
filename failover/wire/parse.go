package wire

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"

	"highwater/internal/tezos"
)

// Parse reads a message of a bounded length, without an unknown field, and without a byte after the message. An error
// is a *Refusal.
func Parse[T Question | Answer](b []byte) (T, error) {
	var zero, v T
	if len(b) > maxMessage {
		return zero, unreadable("a message of %d bytes is too long", len(b))
	}
	var version struct {
		Protocol int `json:"protocol"`
	}
	if err := json.Unmarshal(b, &version); err != nil {
		return zero, unreadable("a message cannot be read: %v", err)
	}
	if version.Protocol != Protocol {
		return zero, Refuse(WrongVersion, "run the same version of highwater on both machines",
			"the peer speaks version %d of the protocol, and version %d is spoken here", version.Protocol, Protocol)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		return zero, unreadable("a message cannot be read: %v", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return zero, unreadable("something follows a message")
	}
	if err := sound(&v); err != nil {
		return zero, err
	}
	return v, nil
}

func (h Hello) sound() bool {
	return h.Role.Known() && soundLife(h.Life) && h.Epoch <= MaxEpoch && len(h.Broken) <= MaxBroken
}

// sound checks the fields beyond the checks of JSON.
func sound(v any) error {
	switch v := v.(type) {
	case *Question:
		if !v.sound() || v.Seen > MaxEpoch || len(v.Nonce) > maxNonce || v.At != nil && *v.At < 0 {
			return unreadable("a question with impossible fields")
		}
	case *Answer:
		if !v.sound() || len(v.Nonce) > maxNonce || v.Status != nil &&
			(v.Status.Seen > MaxEpoch || v.Status.SignsUpTo != nil && *v.Status.SignsUpTo < 0) {
			return unreadable("an answer with impossible fields")
		}
		if v.Status != nil {
			if err := soundMarks(v.Status.Marks); err != nil {
				return err
			}
		}
		if v.Certificate != nil {
			return v.Certificate.sound()
		}
	}
	return nil
}

func soundMarks(marks []Mark) error {
	if len(marks) > MaxMarks {
		return unreadable("%d marks are too many", len(marks))
	}
	for _, m := range marks {
		if m.Level < 0 || m.Round < 0 || !m.Source.Known() || !slices.Contains(tezos.Kinds, m.Kind) {
			return unreadable("a mark with impossible fields, at level %d round %d", m.Level, m.Round)
		}
	}
	return nil
}
