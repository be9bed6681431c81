// Package tezos holds the wire facts of Tezos for a signer: base58check texts, public keys and their hashes,
// signatures and their verification, and the strict decoding of consensus payloads.
//
// The package is pure: no I/O, no clock, no randomness. All input comes from outside and is bounded.
package tezos
