package cmd

import "highwater/cmd/cli"

// app is what the commands of this package share.
type app struct {
	*cli.App
	flush func() // writes what is still to be said; it does not wait for long
}
