package ledger

import (
	"encoding/binary"
	"fmt"

	"highwater/internal/tezos"
)

// Instruction is an INS byte of the app.
type Instruction byte

// The instructions of this driver. HMAC (0E) and SIGN without the hash (04) are never sent.
const (
	InsVersion      Instruction = 0x00
	InsAuthorize    Instruction = 0x01 // prompts
	InsPublicKey    Instruction = 0x02
	InsPromptKey    Instruction = 0x03 // prompts
	InsReset        Instruction = 0x06 // prompts
	InsGit          Instruction = 0x09
	InsSetup        Instruction = 0x0a // prompts
	InsAllMarks     Instruction = 0x0b
	InsDeauthorize  Instruction = 0x0c // does not prompt
	InsAuthKey      Instruction = 0x0d
	InsSignWithHash Instruction = 0x0f
)

// String is the instruction's name in the app's documents.
func (i Instruction) String() string {
	switch i {
	case InsVersion:
		return "VERSION"
	case InsAuthorize:
		return "AUTHORIZE_BAKING"
	case InsPublicKey:
		return "GET_PUBLIC_KEY"
	case InsPromptKey:
		return "PROMPT_PUBLIC_KEY"
	case InsReset:
		return "RESET"
	case InsGit:
		return "GIT"
	case InsSetup:
		return "SETUP"
	case InsAllMarks:
		return "QUERY_ALL_HWM"
	case InsDeauthorize:
		return "DEAUTHORIZE"
	case InsAuthKey:
		return "QUERY_AUTH_KEY_WITH_CURVE"
	case InsSignWithHash:
		return "SIGN_WITH_HASH"
	}
	return fmt.Sprintf("INS %02x", byte(i))
}

// Sizes of the wire format.
const (
	// MaxPayload is the longest message that the app takes, in one packet.
	MaxPayload = 235
	// maxAnswer bounds an answer: the longest is a hash and a BLS signature, 128 bytes, with the status word.
	maxAnswer = 260
	swSize    = 2
)

const (
	claApp    = 0x80
	claSystem = 0xb0
	p1Select  = 0x00
	p1Last    = 0x81 // a message in its only packet
)

// command is one APDU, with a name for errors.
type command struct {
	name string
	raw  []byte
}

// setsMarks tells whether the operator, by confirming the command, sets the app's marks.
func (c command) setsMarks() bool {
	return c.name == InsReset.String() || c.name == InsSetup.String()
}

// instruction makes an APDU of the app; data has at most MaxPayload bytes.
func instruction(ins Instruction, p1, p2 byte, data []byte) command {
	raw := append([]byte{claApp, byte(ins), p1, p2, byte(len(data) & 0xff)}, data...)
	return command{ins.String(), raw}
}

// appName asks the system for the name of the open app.
var appName = command{"app name", []byte{claSystem, 0x01, 0, 0, 0}}

// derives tells whether the command derives a key and shows no prompt.
func (c command) derives() bool { return c.name == InsPublicKey.String() }

func publicKeyCommand(ins Instruction, curve Curve, path Path) command {
	return instruction(ins, 0, byte(curve), path.Bytes())
}

func setupCommand(curve Curve, path Path, chain tezos.ChainID, mainLevel, testLevel int32) command {
	data := append([]byte{}, chain[:]...)
	data = binary.BigEndian.AppendUint32(data, uint32(mainLevel&maxLevel))
	data = binary.BigEndian.AppendUint32(data, uint32(testLevel&maxLevel))
	return instruction(InsSetup, 0, byte(curve), append(data, path.Bytes()...))
}

func resetCommand(level int32) command {
	return instruction(InsReset, 0, 0, binary.BigEndian.AppendUint32(nil, uint32(level&maxLevel)))
}

func selectCommand(curve Curve, path Path) command {
	c := instruction(InsSignWithHash, p1Select, byte(curve), path.Bytes())
	c.name = "select"
	return c
}

func messageCommand(payload []byte) command {
	c := instruction(InsSignWithHash, p1Last, 0, payload)
	c.name = "SIGN"
	return c
}
