#!/bin/bash
# blst 0.3.17 and circl 1.6.5: KeyGen makes two secrets of one seed.
#
# Guess: KeyGen of both is that of the IETF's draft, so that one seed is one BLS key.
# Seen:  blst fills in the draft's salt, hashed; circl takes the caller's, and without one none. Each value is a valid key. With the salt
#        as the older drafts had it, circl gives a third key, that of blst's KeyGenV3.
# So:    a tz4 key's backup is a seed, the program that reads it, and the address written beside both: compare it after an import.
#
# Needs go and a C compiler (blst).
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat >expected <<'END'
github.com/cloudflare/circl v1.6.5
github.com/supranational/blst v0.3.17
blst KeyGen: 23c205e368093188
circl KeyGen without a salt: 466d735c2d4e7639
circl KeyGen with the hashed salt: 23c205e368093188
circl KeyGen with the salt of older drafts: 4dd013415145448a
blst KeyGenV3: 4dd013415145448a
END

cat >main.go <<'END'
package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"log"
	"runtime/debug"

	circl "github.com/cloudflare/circl/sign/bls"
	blst "github.com/supranational/blst/bindings/go"
)

func ofCircl(seed, salt []byte) []byte {
	key, err := circl.KeyGen[circl.KeyG1SigG2](seed, salt, nil)
	if err != nil {
		log.Fatal(err)
	}
	b, err := key.MarshalBinary()
	if err != nil {
		log.Fatal(err)
	}
	return b
}

func main() {
	build, _ := debug.ReadBuildInfo()
	for _, d := range build.Deps {
		if d.Path == "github.com/cloudflare/circl" || d.Path == "github.com/supranational/blst" {
			fmt.Println(d.Path, d.Version)
		}
	}
	seed := bytes.Repeat([]byte{7}, 32)
	salt := []byte("BLS-SIG-KEYGEN-SALT-")
	hashed := sha256.Sum256(salt)
	for _, row := range []struct {
		what   string
		secret []byte
	}{
		{"blst KeyGen", blst.KeyGen(seed).Serialize()},
		{"circl KeyGen without a salt", ofCircl(seed, nil)},
		{"circl KeyGen with the hashed salt", ofCircl(seed, hashed[:])},
		{"circl KeyGen with the salt of older drafts", ofCircl(seed, salt)},
		{"blst KeyGenV3", blst.KeyGenV3(seed).Serialize()},
	} {
		fmt.Printf("%s: %x\n", row.what, row.secret[:8])
	}
}
END
go mod init finding 2>log || { cat log >&2; exit 1; }
go get github.com/cloudflare/circl@v1.6.5 github.com/supranational/blst@v0.3.17 2>log || { cat log >&2; exit 1; }
GOFLAGS=-mod=mod CGO_ENABLED=1 go run . >seen
cat seen
diff -u expected seen
