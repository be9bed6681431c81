//go:build !linux

package store

import "os"

// dropCache does nothing: there is no portable way.
func dropCache(*os.File) error { return nil }
