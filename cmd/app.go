package cmd

import "highwater/cmd/cli"

// app is the state shared by the commands of this package.
type app struct {
	*cli.App
	flush func() // writes the rest of the output, within a short bound
}
