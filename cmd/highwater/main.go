// Highwater is a Tezos remote signer that remembers what it signed.
package main

import (
	"os"

	"highwater/cmd"
)

func main() { os.Exit(cmd.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
