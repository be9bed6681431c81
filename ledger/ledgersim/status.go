package ledgersim

import "encoding/binary"

// status is a status word.
type status uint16

// The status words of the app and its system.
const (
	swOK           status = 0x9000
	swRejected     status = 0x6985 // the user pressed Reject
	swSecurity     status = 0x6982 // not the authorised key; the app's own PIN check
	swWrongValues  status = 0x6a80 // the water mark refuses; malformed data
	swNoKey        status = 0x6a88 // no authorised key
	swWrongParam   status = 0x6b00
	swWrongLength  status = 0x6c00
	swNoIns        status = 0x6d00
	swNoClass      status = 0x6e00
	swNotReady     status = 0x917e // too long; no key was ever selected
	swCrypto       status = 0x9001
	swParse        status = 0x9405
	swLocked       status = 0x5515
	swNoApp        status = 0x6511 // at the dashboard
	swMainnet      status = 0x6fee // this emulator's own: no signature for the mainnet
	hwmLevelFlags         = 0xc0000000
	maxData               = 235
	swSize                = 2
	defaultAppName        = "Tezos Baking"
)

// answer appends a status word to data.
func answer(sw status, data ...[]byte) []byte {
	var out []byte
	for _, d := range data {
		out = append(out, d...)
	}
	return binary.BigEndian.AppendUint16(out, uint16(sw))
}
