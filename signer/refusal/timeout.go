package refusal

import (
	"fmt"

	"highwater/internal/tezos"
)

// Stage is how far a request has come.
type Stage uint8

// The stages.
const (
	StageQueue  Stage = iota // the request waits for its turn
	StageDevice              // the device was asked
	StageDisk                // the device has answered, and the mark is not on disk yet
	StageRight               // the level is above the limit of a shared right, and an extension is waited for
)

// TimeoutError says that a request's budget ran out, and where; or that its client went away.
type TimeoutError struct {
	PKH    tezos.PublicKeyHash
	Gone   bool   // the client went away
	Stage  Stage  // of the request; of the request before, when Behind
	Behind bool   // the request was behind another request of its kind
	Device string // empty: none was asked
}

func (e *TimeoutError) Error() string {
	if e.Gone {
		return "the client went away before the signature was ready"
	}
	text := fmt.Sprintf("no signature of %s within the request's time: ", e.PKH)
	if e.Behind {
		text += "an earlier request of the same kind is not finished: "
	}
	switch e.Stage {
	case StageDisk:
		return text + "the device has signed, and the watermark is not on the disk yet"
	case StageDevice:
		return text + "device " + e.Device + " was asked, and has not answered"
	case StageRight:
		return text + "the right to sign did not reach its level"
	case StageQueue:
	}
	return text + "the turn at the device had not come"
}

// HintText is the advice.
func (e *TimeoutError) HintText() string {
	if e.Stage == StageDisk {
		return "the device is fast enough; the disk of the state directory is too busy or too slow. highwater check " +
			"measures the disk, highwater_commit_seconds shows each write; with `ahead` in [store] signatures do not " +
			"wait for the disk"
	}
	return "look at the device: highwater status"
}
