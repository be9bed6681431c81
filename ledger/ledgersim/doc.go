// Package ledgersim is an emulated Ledger with the Tezos Baking app 2.5.0 (or 2.5.1, with BLS): the app's status words, its order of
// checks, its sticky key selection, its water mark with all its oddities, RAM and NVRAM, prompts and the PIN lock. It answers
// what was recorded from the real app byte for byte (testdata/ledger).
//
// It shares no protocol code with the driver that it tests, only the words for curves and paths. It holds software keys and must
// never hold a real one; unless told otherwise it refuses the mainnet chain id.
package ledgersim
