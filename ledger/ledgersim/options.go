package ledgersim

import (
	"time"

	"highwater/internal/tezos"
	"highwater/ledger"
)

// Version is a release of the app.
type Version struct {
	name   string
	number [3]byte
	git    string
	bls    bool
}

// The recorded releases. V251 is a build with BLS (P2=04), not published by Ledger.
var (
	V250 = Version{
		name: "2.5.0", number: [3]byte{2, 5, 0},
		git: "flex_1.2.1_2.5.0_sdk_0f3417ca328c8af249d442edd0c2b5fe5a0cc7ea-0-g48bbc81a",
	}
	V251 = Version{name: "2.5.1", number: [3]byte{2, 5, 1}, git: "v2.4.7-321-g50ec8cfc", bls: true}
)

// Prompt is the text of a prompt after its first screen.
type Prompt struct {
	Title string
	Lines []string
}

// Decision is the user's answer to a prompt.
type Decision int

// The decisions. Hold leaves the prompt on the screen until Device.Answer.
const (
	Hold Decision = iota
	Accept
	Reject
)

// Always decides every prompt alike.
func Always(d Decision) func(Prompt) Decision { return func(Prompt) Decision { return d } }

// Setup is the result of a SETUP: an authorised key, and the position of its marks.
type Setup struct {
	Curve ledger.Curve
	Path  ledger.Path   // nil: ledger.DefaultPath
	Chain tezos.ChainID // the main chain
	Main  uint32        // level of the main mark
	Test  uint32        // level of the test mark
}

// Latency is how long a signature takes, by curve.
type Latency map[ledger.Curve]time.Duration

// Latencies measured on hardware by the app's own benchmark. BLS was not measured.
var (
	NanoSPlus = Latency{
		ledger.Ed25519: 465 * time.Millisecond, ledger.Secp256k1: 229 * time.Millisecond,
		ledger.P256: 226 * time.Millisecond, ledger.BIP25519: 787 * time.Millisecond,
	}
	Flex = Latency{
		ledger.Ed25519: 456 * time.Millisecond, ledger.Secp256k1: 214 * time.Millisecond,
		ledger.P256: 215 * time.Millisecond, ledger.BIP25519: 783 * time.Millisecond,
	}
)

// Uniform is the same latency for every curve.
func Uniform(d time.Duration) Latency {
	l := Latency{}
	for c := ledger.Ed25519; c <= ledger.BLS12381; c++ {
		l[c] = d
	}
	return l
}

// Options describe the device to emulate.
type Options struct {
	// Seed decides the keys: a BIP-39 mnemonic (12 to 24 words) gives the app's keys, any other text gives the
	// emulator's own.
	Seed    string
	Version Version // zero: V250
	Latency Latency // nil: none
	// Decide is called at each prompt; nil holds every prompt. Decide must not call the device.
	Decide func(Prompt) Decision
	// Trace is called with each command that the device took, and the answer. Trace must not call the device.
	Trace func(apdu, answer []byte)
	// PromptDelay is how long the user takes to decide.
	PromptDelay time.Duration
	// AllowMainnet makes the device sign for the mainnet like a real device. Without AllowMainnet, SETUP and SIGN for
	// the mainnet answer 6FEE.
	AllowMainnet bool
	// Setup holds the authorised key. Several keys are an extension: the real app has one key. The wire protocol
	// shows only the first key. Device.Authorized shows all keys, each with its own marks.
	Setup []Setup
}

// Fault is a fault of one exchange.
type Fault struct {
	CutBefore bool          // the connection ends, and the app never sees the command
	CutAfter  bool          // the connection ends after the app has done the command
	Drop      bool          // the answer is lost
	Duplicate bool          // the answer comes twice
	Garbage   []byte        // comes in place of the answer
	Delay     time.Duration // of the answer, on top of the latency
}
