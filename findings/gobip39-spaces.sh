#!/bin/bash
# github.com/tyler-smith/go-bip39 1.1.0: words with two spaces between them pass the check, and give another seed.
#
# Guess: words that NewSeedWithErrorChecking accepts give the seed of these words, or the spaces are refused.
# Seen:  the check splits the words at any white space; the seed is made of the text as typed. Two spaces, or one in front, give another
#        seed, and no error. (A line break at the end is an error, as is a capital letter.)
# So:    a Ledger's words copied into software with one space too many give a valid address that is not the Ledger's. Compare the address
#        after each import: a check that passed says nothing about it.
#
# Needs go and no C compiler.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat >expected <<'END'
github.com/tyler-smith/go-bip39 v1.1.0
one space between words: seed 5eb00bbddcf0
two spaces after the first word: seed 1525a8d0b3e0
a space in front: seed 6ec9cd47df43
a line break at the end: Checksum incorrect
END

cat >main.go <<'END'
package main

import (
	"fmt"
	"runtime/debug"

	"github.com/tyler-smith/go-bip39"
)

func main() {
	build, _ := debug.ReadBuildInfo()
	for _, d := range build.Deps {
		if d.Path == "github.com/tyler-smith/go-bip39" {
			fmt.Println(d.Path, d.Version)
		}
	}
	const first, rest = "abandon ", "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
	for _, row := range []struct{ what, words string }{
		{"one space between words", first + rest},
		{"two spaces after the first word", first + " " + rest},
		{"a space in front", " " + first + rest},
		{"a line break at the end", first + rest + "\n"},
	} {
		seed, err := bip39.NewSeedWithErrorChecking(row.words, "")
		if err != nil {
			fmt.Printf("%s: %v\n", row.what, err)
			continue
		}
		fmt.Printf("%s: seed %x\n", row.what, seed[:6])
	}
}
END
go mod init finding 2>log || { cat log >&2; exit 1; }
go get github.com/tyler-smith/go-bip39@v1.1.0 2>log || { cat log >&2; exit 1; }
GOFLAGS=-mod=mod CGO_ENABLED=0 go run . >seen
cat seen
diff -u expected seen
