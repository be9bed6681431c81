#!/bin/bash
# blst 0.3.17 (Go): a secret key that was wiped still signs, without an error.
#
# Guess: Sign with a wiped key gives nil, as KeyGen and Deserialize do with bad input, and so does the key's public key.
# Seen:  both are the point at infinity (c0 and zeros): of the right length and well-formed. Only a validation that looks for infinity
#        refuses them.
# So:    a signer verifies what it gives out, under the public key that it knew before. Signatures are validated with the infinity check.
#
# Needs go and a C compiler.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat >expected <<'END'
blst v0.3.17
a key of 31 bytes: nil
a wiped key's signature: c000000000000000..., 96 bytes
it is valid: false
its public key is valid: false
END

cat >main.go <<'END'
package main

import (
	"fmt"

	blst "github.com/supranational/blst/bindings/go"
)

func main() {
	fmt.Print("a key of 31 bytes: ")
	if blst.KeyGen(make([]byte, 31)) == nil {
		fmt.Println("nil")
	}
	seed := make([]byte, 32)
	seed[0] = 7
	key := blst.KeyGen(seed)
	key.Zeroize()
	sig := new(blst.P2Affine).Sign(key, []byte("block"), []byte("BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_AUG_"))
	b := sig.Compress()
	fmt.Printf("a wiped key's signature: %x..., %d bytes\n", b[:8], len(b))
	fmt.Printf("it is valid: %v\n", sig.SigValidate(true))
	fmt.Printf("its public key is valid: %v\n", new(blst.P1Affine).From(key).KeyValidate())
}
END
go mod init finding 2>log || { cat log >&2; exit 1; }
go get github.com/supranational/blst@v0.3.17 2>log || { cat log >&2; exit 1; }
{
  go list -m -f 'blst {{.Version}}' github.com/supranational/blst
  GOFLAGS=-mod=mod CGO_ENABLED=1 CGO_CFLAGS='-O2 -D__BLST_PORTABLE__' go run .
} >seen
cat seen
diff -u expected seen
