package ledger

import (
	"context"
	"slices"

	"highwater/internal/tezos"
)

// Transport carries commands to one device and brings the answers back. One goroutine at a time uses a Transport.
type Transport interface {
	// Exchange sends one APDU and waits for the next answer: data and a status word. A read is pending all the time.
	// When ctx ends first, or on any other error, the device may have done the command, and the answer may still
	// come: close the transport.
	Exchange(ctx context.Context, apdu []byte) ([]byte, error)
	// Where is the address, for people: "sim", "127.0.0.1:9999", "usb 1-2".
	Where() string
	// Close ends the connection, without waiting for outstanding answers.
	Close() error
}

// Watermark is a level and a round of the app's own mark, both unsigned in the app.
type Watermark struct{ Level, Round uint32 }

// Marks are the app's water marks. Main covers the main chain, or every chain when Chain is zero. Test covers all
// other chains.
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

// same tells whether two keys have one curve and one path.
func (a Authorized) same(b Authorized) bool {
	return a.Curve == b.Curve && slices.Equal(a.Path, b.Path)
}

// manyKeys is a transport to an emulated device with several authorised keys, each with its own marks. The wire
// protocol shows only the first key.
type manyKeys interface{ Authorized() []Authorized }

// oneOfMany is a transport to one of several connected devices, of which any could be the configured device.
type oneOfMany interface {
	// Reject marks the device as foreign: the dialer skips a foreign device until the device is unplugged.
	Reject(why error)
	// Alone tells whether no other device is a candidate.
	Alone() bool
}
