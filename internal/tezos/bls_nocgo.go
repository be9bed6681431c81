//go:build !cgo

package tezos

import "errors"

// HasBLS tells whether this build can verify tz4 signatures (it needs cgo).
const HasBLS = false

func newBLSVerifier([]byte) (verifier, error) {
	return nil, errors.New("this build has no BLS12-381 (it was built without cgo): tz4 keys need the full build")
}
