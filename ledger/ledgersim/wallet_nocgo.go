//go:build !cgo

package ledgersim

import (
	"errors"

	"highwater/ledger"
)

func newBLSKey([]byte, ledger.Path) (signKey, error) {
	return nil, errors.New("this build has no BLS12-381 (built without cgo)")
}
