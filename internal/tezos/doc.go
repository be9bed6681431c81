// Package tezos holds the wire facts of Tezos that a signer needs: base58check texts, public keys and their hashes,
// signatures and their verification, and the strict decoding of consensus payloads.
//
// It is pure: no I/O, no clock, no randomness. Everything that it reads comes from outside and is bounded.
package tezos
