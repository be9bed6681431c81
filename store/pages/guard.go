package pages

import (
	"fmt"
	"runtime/debug"

	"highwater/hwm"
)

// Guard makes errors of the panics of bbolt at damaged pages, and of faults in its memory map.
func Guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", hwm.ErrCorrupt, r)
		}
	}()
	return f()
}
