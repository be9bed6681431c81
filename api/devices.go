package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/go-chi/chi/v5"

	"highwater/internal/hints"
	"highwater/operate"
	"highwater/signer"
)

// RaiseDevices has the daemon compare the devices' own marks with the host's.
func (c *Client) RaiseDevices(ctx context.Context) ([]signer.DeviceMarks, error) {
	return call[[]signer.DeviceMarks](ctx, c, http.MethodPost, "/v1/devices/raise", struct{}{})
}

// deviceEvent is one line of the answer to a device call: any number of shows, then a result or an error.
type deviceEvent struct {
	Show   string          `json:"show,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *adminError     `json:"error,omitempty"`
}

// deviceCall answers with a line of JSON for each event as it happens. A client's going away ends the context of the
// call.
func deviceCall(a operate.Devices) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var c operate.DeviceCall
		dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAdminBody))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&c); err != nil {
			writeJSON(w, http.StatusBadRequest, badAct("the request cannot be read: "+err.Error()))
			return
		}
		c.Device = chi.URLParam(r, "name")
		out := http.NewResponseController(w)
		// A prompt waits for a person: the listener's time-outs are not for it.
		if err := errors.Join(out.SetWriteDeadline(noDeadline), out.SetReadDeadline(noDeadline)); err != nil {
			writeJSON(w, http.StatusInternalServerError, toAdminError(err))
			return
		}
		w.Header().Set("Content-Type", "application/jsonlines")
		send := func(e deviceEvent) {
			line, err := json.Marshal(e)
			if err != nil {
				return
			}
			_, werr := w.Write(append(line, '\n'))
			_ = errors.Join(werr, out.Flush())
		}
		result, err := a.DeviceCall(r.Context(), c, func(text string) { send(deviceEvent{Show: text}) })
		if err != nil {
			e := toAdminError(err)
			send(deviceEvent{Error: &e})
			return
		}
		send(deviceEvent{Result: result})
	}
}

func toAdminError(err error) adminError {
	return adminError{Text: err.Error(), Hint: hints.Of(err), Reason: operate.ReasonOf(err)}
}

// DeviceCall has the daemon do a device call. The end of ctx ends the call in the daemon too.
func (c *Client) DeviceCall(ctx context.Context, call operate.DeviceCall, show func(string)) (json.RawMessage, error) {
	body, err := json.Marshal(call)
	if err != nil {
		return nil, err
	}
	defer clear(body) // the body may hold a passphrase
	path := "/v1/devices/" + call.Device + "/call"
	ctx, cancel, late := c.bounded(ctx, http.MethodPost, path, forPeople)
	defer cancel()
	resp, err := c.ask(ctx, http.MethodPost, path, body)
	if err != nil {
		return nil, late(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to its last event
	result, err := readEvents(io.LimitReader(resp.Body, maxAdminAnswer), resp.StatusCode, show)
	return result, late(err)
}

// maxEvent bounds one line of an answer.
const maxEvent = 4 << 20

func readEvents(r io.Reader, status int, show func(string)) (json.RawMessage, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), maxEvent)
	for lines.Scan() {
		if status != http.StatusOK {
			var e adminError
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				return nil, fmt.Errorf("the daemon answered with status %d", status)
			}
			return nil, &RemoteError{status, e.Text, e.Hint, e.Reason}
		}
		var e deviceEvent
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("the daemon's answer: %w", err)
		}
		switch {
		case e.Error != nil:
			return nil, &RemoteError{http.StatusInternalServerError, e.Error.Text, e.Error.Hint, e.Error.Reason}
		case e.Show != "":
			show(e.Show)
		default:
			return e.Result, nil
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return nil, errors.New("the daemon ended without an answer")
}
