package api

import (
	"encoding/json"
	"fmt"
	"net"

	"highwater/api/socket/message"
	"highwater/internal/door"
)

// Locators are the addresses of the listeners for bakers, as octez-client takes them, without a key. Empty: there is
// none.
type Locators struct {
	HTTP   string // "http://127.0.0.1:6732"
	Socket string // "tcp://127.0.0.1:7732", "unix:/run/highwater/octez.sock?pkh="
}

// First bytes. A message of the socket protocol starts with its length, HTTP with the capital letter of a method, and
// TLS with the type of a record.
const (
	firstTLS    = 0x16
	pastMessage = message.MaxRequest>>8 + 1
)

func beginsHTTP(first byte) bool { return first >= 'A' && first <= 'Z' }

// HTTPListener sends clients of other protocols away, in front of TLS and HTTP.
func (a *Answers) HTTPListener(l net.Listener, tls bool, at Locators) net.Listener {
	return a.Door.Listener(l, func(first byte) *door.Stranger {
		switch {
		case first < pastMessage:
			text := "a client of octez's socket protocol asks at the address for HTTP; the locator here is " + at.HTTP + "/tz1…"
			if at.Socket != "" {
				text += ", and for the socket protocol " + at.Socket
			}
			return &door.Stranger{Answer: message.ErrorAnswer(text), Text: text}
		case tls && beginsHTTP(first):
			text := "a client without TLS asks at the address for TLS; the locator is " + at.HTTP + "/tz1…"
			return &door.Stranger{Answer: httpAnswer(text), Text: text}
		case !tls && first == firstTLS:
			return &door.Stranger{Text: "a client with TLS asks at the address for HTTP; the locator is " + at.HTTP + "/tz1…"}
		}
		return nil
	})
}

// SocketListener sends clients of other protocols away, in front of the socket protocol.
func (a *Answers) SocketListener(l net.Listener, at Locators) net.Listener {
	return a.Door.Listener(l, func(first byte) *door.Stranger {
		text := "asks at the address for octez's socket protocol; the locator here is " + at.Socket + ", and for HTTP " +
			at.HTTP + "/tz1…"
		switch {
		case beginsHTTP(first):
			return &door.Stranger{Answer: httpAnswer("an HTTP client " + text), Text: "an HTTP client " + text}
		case first == firstTLS:
			return &door.Stranger{Text: "a client with TLS " + text}
		}
		return nil
	})
}

// httpAnswer is an error in HTTP, as octez-client prints errors.
func httpAnswer(text string) []byte {
	body, err := json.Marshal([]octezError{{Kind: "temporary", ID: "failure", Msg: text}})
	if err != nil {
		return nil // strings are always JSON
	}
	return fmt.Appendf(nil, "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
}
