// Package ledgersim is an emulated Ledger with the Tezos Baking app 2.5.0 (or 2.5.1, with BLS): the app's status
// words, order of checks, sticky key selection, water mark with all oddities, RAM and NVRAM, prompts and the PIN
// lock. The emulator's answers equal the recorded answers of the real app byte for byte (testdata/ledger).
//
// The emulator shares no protocol code with the driver under test, only the words for curves and paths. The emulator
// holds software keys and must never hold a real key. Without AllowMainnet the emulator refuses the mainnet chain id.
package ledgersim
