// Highwater is a Tezos remote signer with a durable memory of all signed levels and rounds.
package main

import (
	"os"

	"highwater/cmd"
)

func main() { os.Exit(cmd.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
