//go:build !linux

package disk

import "os"

// dropCache does nothing: no portable way exists.
func dropCache(*os.File) error { return nil }
