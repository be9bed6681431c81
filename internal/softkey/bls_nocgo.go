//go:build !cgo

package softkey

import "errors"

// HasBLS tells whether this build can make tz4 keys (it needs cgo).
const HasBLS = false

func newBLSSecret([]byte) (secret, error) {
	return nil, errors.New("this build has no BLS12-381 (it was built without cgo): tz4 keys need the full build")
}
