package tezsign

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"highwater/tezsign/frame"
	pb "highwater/tezsign/tezsignpb"
)

// call describes a kind of request to the session.
type call struct {
	name string
	// accept bounds the wait for the first sign of life after the frame was sent, answer the whole wait.
	accept, answer time.Duration
	// repeatable: sending the request twice does no harm, and a Retry of the gadget is honoured. A repeated sign
	// holds the same bytes, refused by the gadget's own mark. A repeated unlock would reach a key unlocked by the
	// first request.
	repeatable bool
	// whole: the wait goes on after the end of the caller's context, because the host must know whether the gadget
	// has signed or unlocked.
	whole bool
	// secret: the request holds a passphrase, wiped once sent.
	secret bool
}

// Waits. The stock host gives sign 5 s and most other requests 3 s. Keys are derived in turn with Argon2id (64 MiB, 3
// passes) on a small board: 1.5–7 s each were seen, twice for a new key.
const (
	acceptWait  = 3 * time.Second
	greetWait   = 2 * time.Second // for the round trip that shows whether a channel lives
	shortWait   = 3 * time.Second
	signWait    = 5 * time.Second
	perKeyWait  = 10 * time.Second
	deriveWait  = 20 * time.Second
	longestWait = 5 * time.Minute
)

var (
	callVersion  = call{name: "version", accept: greetWait, answer: shortWait, repeatable: true}
	callStatus   = call{name: "status", accept: acceptWait, answer: shortWait, repeatable: true}
	callSign     = call{name: "sign", accept: acceptWait, answer: signWait, repeatable: true, whole: true}
	callInitInfo = call{name: "init_info", accept: acceptWait, answer: shortWait, repeatable: true}
	callLogs     = call{name: "logs", accept: acceptWait, answer: shortWait, repeatable: true}
	callLock     = call{name: "lock", accept: acceptWait, answer: shortWait, repeatable: true}
	callSetLevel = call{name: "set_level", accept: acceptWait, answer: shortWait, whole: true}
	callInit     = call{name: "init_master", accept: acceptWait, answer: deriveWait + perKeyWait, secret: true}
)

func callUnlock(keys int) call {
	return call{name: "unlock", accept: acceptWait, answer: derivation(keys), whole: true, secret: true}
}

func callNewKeys(keys int) call {
	return call{name: "new_keys", accept: acceptWait, answer: derivation(2 * keys), secret: true}
}

func callDelete(keys int) call {
	return call{name: "delete_keys", accept: acceptWait, answer: derivation(2 * keys), secret: true}
}

func derivation(times int) time.Duration {
	return min(deriveWait+time.Duration(times)*perKeyWait, longestWait)
}

// encodeRequest returns the whole frame of a request.
func encodeRequest(id frame.ID, req *pb.Request, secret bool) ([]byte, error) {
	payload, err := proto.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	if secret {
		defer clear(payload)
	}
	if len(payload) > frame.MaxRequest {
		return nil, fmt.Errorf("%w: %d bytes, a request has at most %d", frame.ErrTooLong, len(payload), frame.MaxRequest)
	}
	return frame.Encode(frame.Frame{Type: frame.Request, ID: id, Payload: payload})
}

// parseResponse reads a response of at most frame.MaxAnswer bytes. An error message of the gadget becomes a
// *RemoteError.
func parseResponse(payload []byte) (*pb.Response, error) {
	if len(payload) > frame.MaxAnswer {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrAnswer, len(payload), frame.MaxAnswer)
	}
	resp := new(pb.Response)
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(payload, resp); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	if resp.GetBody() == nil {
		return nil, fmt.Errorf("%w: an empty answer", ErrAnswer)
	}
	if e := resp.GetError(); e != nil {
		return nil, &RemoteError{Code: e.GetCode(), Message: printable(e.GetMessage())}
	}
	return resp, nil
}

// printable makes a text of the gadget fit for one line of a log or a terminal.
func printable(s string) string {
	const longest = 300
	out := make([]rune, 0, min(len(s), longest))
	for _, r := range s {
		if len(out) == longest {
			return string(out) + "…"
		}
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			r = ' '
		}
		out = append(out, r)
	}
	return string(out)
}
