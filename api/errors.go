package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/hints"
	"highwater/internal/tezos"
	"highwater/operate"
	"highwater/signer"
)

// statusError is an error with its own status.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string { return e.text }

func badRequest(format string, args ...any) error {
	return &statusError{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// statusOf is the only table of errors and statuses. Status 502 is never used: octez retries ten times. Octez shows 503
// and 429 badly.
func statusOf(err error) int {
	var (
		own     *statusError
		refusal *operate.Refusal
		payload *tezos.PayloadError
		denial  *signer.Denial
	)
	switch {
	case errors.As(err, &own):
		return own.status
	case errors.As(err, &refusal):
		return refusalStatus(refusal.Reason)
	case errors.As(err, &payload):
		return http.StatusBadRequest
	case errors.As(err, &denial) && denial.Reason == signer.UnknownKey:
		return http.StatusNotFound
	case errors.As(err, &denial):
		return http.StatusForbidden
	case errors.Is(err, hwm.ErrRefused), errors.Is(err, hwm.ErrMoved), wire.IsRefusal(err):
		return http.StatusConflict
	default: // the device, or the store
		return http.StatusInternalServerError
	}
}

func refusalStatus(reason string) int {
	switch reason {
	case operate.BadRequest:
		return http.StatusBadRequest
	case operate.AlreadyActive:
		return http.StatusConflict
	}
	return http.StatusForbidden // the process lacks the key or the devices
}

// octezError is an element of an error answer: octez-client expects an array.
type octezError struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
	Msg  string `json:"msg"`
}

func writeFailure(w http.ResponseWriter, err error) {
	writeError(w, statusOf(err), err.Error(), hints.Of(err))
}

func writeError(w http.ResponseWriter, status int, text, hint string) {
	writeJSON(w, status, []octezError{{Kind: "temporary", ID: "failure", Msg: textWithHint(text, hint)}})
}

func textWithHint(text, hint string) string {
	if hint == "" {
		return text
	}
	return text + " (hint: " + hint + ")"
}

// writeJSON answers with a value and nothing after it: octez wants no newline at the end.
func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeBody(w, status, body)
}

// typeJSON is the header of every answer.
var typeJSON = []string{"application/json"}

func writeBody(w http.ResponseWriter, status int, body []byte) {
	w.Header()["Content-Type"] = typeJSON
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// shorten quotes text from a client at a length fit for an error.
func shorten(s string) string {
	const longest = 80
	if len(s) > longest {
		return fmt.Sprintf("%.80q…", s)
	}
	return fmt.Sprintf("%q", s)
}
