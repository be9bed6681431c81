package tezsign

import (
	"errors"
	"fmt"
	"time"

	"highwater/tezsign/frame"
)

// Error codes of the gadget that the host tells apart.
const (
	CodeUnlockThrottled = 12
	CodeSign            = 30 // "sign: state corrupted", "persist state"
	CodeKeyNotFound     = 31 // also: known, but not unlocked since the gadget booted
	CodeKeyLocked       = 32
	CodeStale           = 33
	CodeBadPayload      = 34
	CodeInitialised     = 61
	CodeSetLevel        = 80
	CodeDeleteThrottled = 92
	CodeBadPassphrase   = 93
)

// RemoteError is an error that the gadget answered with: the exchange itself was complete.
type RemoteError struct {
	Code    uint32
	Message string
}

func (e *RemoteError) Error() string {
	return fmt.Sprintf("the gadget answered %d: %s", e.Code, e.Message)
}

// HintText is what to do, where the gadget's own words do not tell.
func (e *RemoteError) HintText() string {
	if e.Code == CodeInitialised {
		return "it has a seed already, which stays: make keys of it with highwater tezsign new ALIAS"
	}
	return ""
}

// ErrNoAnswer is wrapped when the gadget did not answer in time.
var ErrNoAnswer = errors.New("no answer from the gadget")

// ErrWedged is wrapped when a channel is deaf for good while the gadget itself lives.
var ErrWedged = errors.New("the channel is wedged: power-cycle the gadget")

var errTorn = fmt.Errorf("a frame was cut off while it was sent, and another one now could be taken for its rest: %w", ErrWedged)

// ErrUnlocking is wrapped when an earlier unlock, whose answer was lost, may still be under way in the gadget.
var ErrUnlocking = errors.New("an earlier unlock may still be under way")

// ErrWrongPassphrase is wrapped when the gadget could not open a key or its seed with the passphrase.
var ErrWrongPassphrase = errors.New("wrong passphrase (or a corrupted key)")

// ErrAnswer is wrapped when an answer is not one that belongs to its request.
var ErrAnswer = errors.New("unexpected answer from the gadget")

// errLost is the cause when the gadget asked for a request again that must not be sent twice.
var errLost = errors.New("the gadget had a read error; the request is not repeated")

// ThrottledError is returned instead of an attempt to unlock or delete that the gadget would refuse: it takes 5 in 30 seconds.
type ThrottledError struct{ Wait time.Duration }

func (e *ThrottledError) Error() string {
	return fmt.Sprintf("the gadget takes %d passphrases in %s: the next in %s", triesMax, triesWindow, e.Wait.Round(time.Second))
}

// linkError is an exchange that did not come to its end.
type linkError struct {
	id       frame.ID
	request  string // its name, for people
	written  bool   // the frame may have reached the gadget
	torn     bool   // a part of the frame left, the rest did not: nothing may be written before the gadget was restarted
	accepted bool
	err      error
}

func (e *linkError) Error() string {
	switch {
	case e.torn:
		return fmt.Sprintf("%s: cut off while it was sent: %v", e.request, e.err)
	case e.accepted:
		return fmt.Sprintf("%s: accepted, then: %v", e.request, e.err)
	case e.written:
		return fmt.Sprintf("%s: sent, then: %v", e.request, e.err)
	default:
		return fmt.Sprintf("%s: not sent: %v", e.request, e.err)
	}
}

func (e *linkError) Unwrap() error { return e.err }
