package ledger

import (
	"context"

	"highwater/internal/tezos"
)

// Transport carries commands to one device and its answers back. It is used by one goroutine at a time.
type Transport interface {
	// Exchange sends one APDU and waits for the next answer: data and a status word. A read is pending all the time. When ctx ends
	// first, or on any other error, the command may have been done, and the answer may still come: the transport must be closed.
	Exchange(ctx context.Context, apdu []byte) ([]byte, error)
	// Where is the address, for people: "sim", "127.0.0.1:9999", "usb 1-2".
	Where() string
	// Close ends the connection. It does not wait for outstanding answers.
	Close() error
}

// Watermark is a level and a round of the app's own mark; both are unsigned there.
type Watermark struct{ Level, Round uint32 }

// Marks are the app's water marks. Main covers the main chain, or every chain when Chain is zero; Test covers all other chains.
type Marks struct {
	Main, Test Watermark
	Chain      tezos.ChainID
}

// For is the mark that covers a chain.
func (m Marks) For(chain tezos.ChainID) Watermark {
	if m.Chain == chain || m.Chain == (tezos.ChainID{}) {
		return m.Main
	}
	return m.Test
}

// Authorized is a key that the app may bake with. A Ledger has at most one.
type Authorized struct {
	Curve Curve
	Path  Path
	Marks Marks
}

// manyKeys is a transport to an emulated device that may have several keys authorised, each with its own marks; the wire protocol
// shows the first only.
type manyKeys interface{ Authorized() []Authorized }

// oneOfMany is a transport to one of several devices that are connected, of which any could be the one we look for.
type oneOfMany interface {
	// Reject says that it is not the one: no transport is made to it before it was unplugged.
	Reject(why error)
	// Alone tells whether there is no other that could be.
	Alone() bool
}
