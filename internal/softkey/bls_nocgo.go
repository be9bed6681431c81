//go:build !cgo

package softkey

import "errors"

// HasBLS tells whether the build can make tz4 keys, for which cgo is needed.
const HasBLS = false

func newBLSSecret([]byte) (secret, error) {
	return nil, errors.New("this build has no BLS12-381 (built without cgo): tz4 keys need the full build")
}
