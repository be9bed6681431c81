package tezos_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/tezos"
)

// The rows of testdata/octez; its README describes them.
type (
	payloadVector struct {
		Name    string   `json:"name"`
		Payload hexBytes `json:"payload"`
		Curves  []string `json:"curves"`
		Kind    string   `json:"kind"`
		Level   int32    `json:"level"`
		Round   int32    `json:"round"`
		Error   string   `json:"error"`
		Warning string   `json:"warning"`
		Source  string   `json:"source"`
	}
	keyVector struct {
		Curve     string   `json:"curve"`
		PublicKey string   `json:"public_key"`
		Raw       hexBytes `json:"raw"`
		PKH       string   `json:"pkh"`
		Source    string   `json:"source"`
	}
	signatureVector struct {
		Curve     string   `json:"curve"`
		PKH       string   `json:"pkh"`
		Payload   hexBytes `json:"payload"`
		Raw       hexBytes `json:"raw"`
		Signature string   `json:"signature"`
		Scheme    string   `json:"scheme"`
		Source    string   `json:"source"`
	}
	possessionVector struct {
		PKH    string   `json:"pkh"`
		Raw    hexBytes `json:"raw"`
		Proof  string   `json:"proof"`
		Source string   `json:"source"`
	}
	keyVectors struct {
		Keys        []keyVector        `json:"keys"`
		Signatures  []signatureVector  `json:"signatures"`
		Possessions []possessionVector `json:"possessions"`
	}
)

type hexBytes []byte

func (h *hexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

func readVectors(t testing.TB, name string, to any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "octez", name))
	require.NoError(t, err)
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(to))
}

func readPayloads(t testing.TB) []payloadVector {
	t.Helper()
	var rows []payloadVector
	readVectors(t, "payloads.json", &rows)
	require.NotEmpty(t, rows)
	return rows
}

func readKeys(t testing.TB) keyVectors {
	t.Helper()
	var v keyVectors
	readVectors(t, "keys.json", &v)
	require.NotEmpty(t, v.Keys)
	require.NotEmpty(t, v.Signatures)
	require.NotEmpty(t, v.Possessions)
	return v
}

// keysByHash parses all the recorded keys.
func (v keyVectors) keysByHash(t testing.TB) map[string]*tezos.PublicKey {
	t.Helper()
	keys := make(map[string]*tezos.PublicKey)
	for _, row := range v.Keys {
		key, err := tezos.ParsePublicKey(row.PublicKey)
		require.NoError(t, err)
		keys[row.PKH] = key
	}
	return keys
}

// curveOf takes a curve's name or its prefix.
func curveOf(t testing.TB, text string) tezos.Curve {
	t.Helper()
	for c := tezos.Ed25519; c <= tezos.MLDSA44; c++ {
		if c.String() == text || c.Prefix() == text {
			return c
		}
	}
	require.Failf(t, "unknown curve", "%q", text)
	return 0
}
