package tezsign

import (
	"errors"
	"fmt"
	"time"

	"highwater/tezsign/frame"
)

// Error codes of the gadget that the host distinguishes.
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

// RemoteError is an error answer of the gadget: the exchange itself was complete.
type RemoteError struct {
	Code    uint32
	Message string
}

func (e *RemoteError) Error() string {
	return fmt.Sprintf("the gadget answered %d: %s", e.Code, e.Message)
}

// HintText is advice where the gadget's own words give none.
func (e *RemoteError) HintText() string {
	if e.Code == CodeInitialised {
		return "the gadget has a seed already, and keeps the seed: make keys with highwater tezsign new consensus"
	}
	return ""
}

// ErrNoAnswer is wrapped when the gadget did not answer in time.
var ErrNoAnswer = errors.New("no answer from the gadget")

// ErrWedged is wrapped when a channel is deaf for good while the gadget itself lives.
var ErrWedged = errors.New("the channel is wedged: power-cycle the gadget")

var errTorn = fmt.Errorf(
	"a frame was cut off on its way, and the gadget could take the next frame for the rest: %w", ErrWedged)

// ErrUnlocking is wrapped when an earlier unlock without an answer may still be under way in the gadget.
var ErrUnlocking = errors.New("an earlier unlock may still be under way")

// ErrWrongPassphrase is wrapped when the passphrase opened neither key nor seed.
var ErrWrongPassphrase = errors.New("wrong passphrase (or a corrupted key)")

// ErrAnswer is wrapped when an answer does not belong to its request.
var ErrAnswer = errors.New("unexpected answer from the gadget")

// errLost is the cause when the gadget asks again for a request that must not be sent twice.
var errLost = errors.New("the gadget had a read error; the request is not repeated")

// ThrottledError is returned instead of sending an unlock or delete that the gadget would refuse: the gadget takes 5
// attempts in 30 seconds.
type ThrottledError struct{ Wait time.Duration }

func (e *ThrottledError) Error() string {
	return fmt.Sprintf("the gadget takes %d passphrases in %s: the next in %s",
		triesMax, triesWindow, e.Wait.Round(time.Second))
}

// linkError is an exchange without an end.
type linkError struct {
	id       frame.ID
	request  string // the request's name, for people
	written  bool   // the frame may have reached the gadget
	torn     bool   // the frame left in part only: write nothing until the gadget has been restarted
	accepted bool
	err      error
}

func (e *linkError) Error() string {
	switch {
	case e.torn:
		return fmt.Sprintf("%s: cut off while being sent: %v", e.request, e.err)
	case e.accepted:
		return fmt.Sprintf("%s: accepted and not finished: %v", e.request, e.err)
	case e.written:
		return fmt.Sprintf("%s: sent and not finished: %v", e.request, e.err)
	default:
		return fmt.Sprintf("%s: not sent: %v", e.request, e.err)
	}
}

func (e *linkError) Unwrap() error { return e.err }
