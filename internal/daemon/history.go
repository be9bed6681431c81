package daemon

import (
	"time"

	"highwater/hwm"
	"highwater/internal/history"
	"highwater/signer"
)

// tellHistory hands the end of a request to the history. Requests that say nothing of the chain's levels are left out,
// and those for strange keys: a client must not fill the history with either.
func tellHistory(h *history.History, o signer.Outcome) {
	state := stateOf(o)
	if o.Kind == 0 || state == history.None {
		return
	}
	h.Tell(history.Record{
		PKH: o.PKH, Kind: o.Kind, Level: o.Level, Round: o.Round, State: state, Reason: o.Reason, At: time.Now(),
		Took: o.Duration, Device: o.DeviceFor, Disk: o.CommitFor,
	})
}

// stateOf is the state of a level after a request; None: the request is left out.
func stateOf(o signer.Outcome) history.State {
	switch o.Reason {
	case string(hwm.TooFar), signer.UnknownKey, signer.WrongChain:
		return history.None
	case string(hwm.Conflict):
		return history.Conflict
	case signer.NotActive:
		return history.Fenced
	}
	switch o.Decision {
	case "signed":
		return history.Signed
	case "replayed":
		return history.Replayed
	case "refused":
		return history.Refused
	case "failed":
		return history.Failed
	}
	return history.None
}
