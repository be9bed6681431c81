// Package ledger drives a Ledger with the Tezos Baking app: the app's commands, the meaning of the answers, and the
// life of a device on a cable. Transports (USB HID, the TCP socket of Ledger's emulator, an emulated device in
// process) are interchangeable.
//
// The package never does the following: send a message after a refused select, send a command while an answer is
// outstanding, take an answer for another command's, raise or lower the device's water mark by itself, or pad a
// payload.
package ledger
