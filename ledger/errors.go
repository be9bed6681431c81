package ledger

import (
	"errors"
	"fmt"

	"highwater/internal/device"
)

// Status is a status word.
type Status uint16

// The status words with a meaning here.
const (
	StatusOK          Status = 0x9000
	StatusRejected    Status = 0x6985
	StatusSecurity    Status = 0x6982
	StatusWrongValues Status = 0x6a80
	StatusNoKey       Status = 0x6a88
	StatusWrongParam  Status = 0x6b00
	StatusWrongLength Status = 0x6c00
	StatusNoIns       Status = 0x6d00
	StatusNoClass     Status = 0x6e00
	StatusNoClass1    Status = 0x6e01
	StatusNotReady    Status = 0x917e
	StatusCrypto      Status = 0x9001
	StatusMemory      Status = 0x9200
	StatusParse       Status = 0x9405
	StatusLocked      Status = 0x5515
	StatusDashboard   Status = 0x6511
	StatusMainnet     Status = 0x6fee // of this project's emulator only
)

// StatusError is an answer with a status word other than 9000.
type StatusError struct {
	Command string // the name of the command
	Status  Status
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s answered %04x: %s", e.Command, uint16(e.Status), e.Status.meaning())
}

// meaning is the app's meaning in a few words.
func (s Status) meaning() string {
	switch s {
	case StatusOK:
		return "ok"
	case StatusRejected:
		return "rejected on the device"
	case StatusSecurity:
		return "the key is not authorised for baking"
	case StatusWrongValues:
		return "refused"
	case StatusNoKey:
		return "no key is authorised for baking"
	case StatusWrongParam, StatusWrongLength, StatusNotReady:
		return "the app does not take this command"
	case StatusNoIns, StatusNoClass, StatusNoClass1:
		return "another app is open"
	case StatusCrypto, StatusMemory:
		return "the app failed to compute"
	case StatusParse:
		return "the app cannot read this payload"
	case StatusLocked:
		return "the device is locked"
	case StatusDashboard:
		return "no app is open"
	case StatusMainnet:
		return "an emulated device does not sign for the mainnet"
	}
	return "unknown status"
}

// Advice, one line each.
const (
	adviceUnlock  = "the device is locked: enter its PIN"
	adviceOpen    = "open the Tezos Baking app on the device"
	adviceWrong   = "quit the open app and open the Tezos Baking app on the device"
	adviceKey     = "authorise the key: highwater ledger list shows the keys; see highwater ledger setup --help"
	adviceOtherID = "connect the right Ledger, or correct id in the config"
	advicePlug    = "plug the Ledger in, unlock it and open the Tezos Baking app"
	adviceNoAPDUs = "unlock the Ledger, quit the open app and open the Tezos Baking app; " +
		"if that does not help, unplug the Ledger, plug it in again, and update it with Ledger's own software"
	adviceBusy = "look at the device: answer the prompt on its screen; " +
		"if there is no prompt, unplug the device and plug it in again"
	adviceSlow = "wait: the device is slow to derive a key; " +
		"if the wait gets long, unplug the device and plug it in again"
	advicePrompt = "answer the prompt on the device's screen"
	adviceLate   = "reject the prompt on the device and ask again: an answer now reaches nobody"
	adviceReveal = "reveal the key with a wallet app on the Ledger that knows today's layout, " +
		"before the key bakes here; after the reveal ask for the delegation alone"
	adviceUpdate = "update the Tezos Baking app (2.5.0) with Ledger's own software"
	adviceTZ4    = "use a tz1, tz2 or tz3 key on the Ledger, and a TezSign for tz4"
)

// verdict is the meaning of a status word for the signer, whatever the command was.
type verdict struct {
	health device.Health
	hint   string
	retry  bool
	final  bool // wraps device.ErrRefused
}

func (s Status) verdict() verdict {
	switch s {
	case StatusLocked:
		return verdict{health: device.Locked, hint: adviceUnlock, retry: true}
	case StatusDashboard:
		return verdict{health: device.NoApp, hint: adviceOpen, retry: true}
	case StatusNoIns, StatusNoClass, StatusNoClass1:
		return verdict{health: device.WrongApp, hint: adviceWrong, retry: true}
	case StatusSecurity, StatusNoKey:
		return verdict{health: device.Broken, hint: adviceKey}
	case StatusWrongValues:
		return verdict{health: device.Ready, final: true, hint: "see `highwater ledger hwm` for the device's own water mark"}
	case StatusRejected:
		return verdict{health: device.Ready, final: true, hint: "press Accept on the device if you meant it"}
	case StatusMainnet:
		return verdict{health: device.Ready, final: true, hint: "use a real device for the mainnet"}
	case StatusOK, StatusWrongParam, StatusWrongLength, StatusNotReady, StatusParse:
		return verdict{health: device.Ready, final: true, hint: "see `highwater ledger version` for the app's version"}
	case StatusCrypto, StatusMemory:
		return verdict{health: device.Broken, hint: "unplug the Ledger, plug it in again and open the Tezos Baking app"}
	}
	hint := "the answer is unknown: see `highwater ledger version` for the app's version"
	return verdict{health: device.Broken, hint: hint}
}

// statusError makes the device's error of a status word.
func (c command) statusError(s Status) *device.Error {
	v := s.verdict()
	err := error(&StatusError{Command: c.name, Status: s})
	switch {
	case s == StatusSecurity || s == StatusNoKey:
		err = fmt.Errorf("%w: %w", device.ErrNoKey, err)
	case v.final:
		err = fmt.Errorf("%w: %w", device.ErrRefused, err)
	}
	return &device.Error{Health: v.health, Hint: v.hint, Retry: v.retry, Err: err}
}

// statusOf finds the status word in an error, or StatusOK.
func statusOf(err error) Status {
	var se *StatusError
	if errors.As(err, &se) {
		return se.Status
	}
	return StatusOK
}
