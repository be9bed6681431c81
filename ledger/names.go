package ledger

import (
	_ "embed" // the word lists
	"math/big"
	"slices"
	"strings"

	"highwater/internal/tezos"
)

var (
	//go:embed words/adjectives.txt
	adjectiveText string
	//go:embed words/animals.txt
	animalText string

	adjectives = strings.Fields(adjectiveText)
	animals    = strings.Fields(animalText)
)

// DeviceName is octez's name for a device, made of the address of its root key (ed25519 at 44'/1729'): four words,
// each picked by the hash of the previous hash (Octez, ledger_names.ml).
func DeviceName(root tezos.PublicKeyHash) string { return crouchingTiger(root.String()) }

// crouchingTiger picks adjective, animal, adjective, animal. The n-th word's index is the n-fold BLAKE2b-256 of the
// text, read as a little-endian number, modulo the length of its list.
func crouchingTiger(text string) string {
	words := make([]string, 4)
	hash := []byte(text)
	for i := range words {
		sum := tezos.Digest(hash)
		hash = sum[:]
		list := adjectives
		if i%2 == 1 {
			list = animals
		}
		le := slices.Clone(hash)
		slices.Reverse(le)
		n := new(big.Int).Mod(new(big.Int).SetBytes(le), big.NewInt(int64(len(list))))
		words[i] = list[n.Int64()]
	}
	return strings.Join(words, "-")
}
