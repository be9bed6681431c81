package signer

import (
	"context"
	"errors"
	"fmt"

	"highwater/hwm"
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

// late explains where the budget of a request was spent: in the sync of the disk, at a device that does not answer,
// or in its queue.
func (s *Signer) late(ctx context.Context, r *request) error {
	stage, device := r.out.where()
	e := &TimeoutError{PKH: r.key.pkh, Gone: errors.Is(ctx.Err(), context.Canceled), Stage: stage, Device: device}
	if e.Gone || stage == StageDisk {
		return e
	}
	if stage == StageRight {
		if err := s.mayNow(r, hwm.Undecided); err != nil {
			return err
		}
		return e
	}
	if candidates := s.candidates(r.key); s.firstUsable(candidates, r.key.pkh, r.Kind) == nil {
		return s.unavailable(r.key, candidates, r.Kind)
	}
	return e
}
