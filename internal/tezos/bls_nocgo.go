//go:build !cgo

package tezos

import "errors"

// HasBLS tells whether the build can verify tz4 signatures, for which cgo is needed.
const HasBLS = false

func newBLSVerifier([]byte) (verifier, error) {
	return nil, errors.New("this build has no BLS12-381 (built without cgo): tz4 keys need the full build")
}
