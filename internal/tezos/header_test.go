package tezos_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/mr-tron/base58"
	"github.com/stretchr/testify/require"

	"highwater/internal/tezos"
)

// headerVector is a header as a node answers it, in testdata/octez. Round is that of the block; a header has it in its
// fitness only.
type headerVector struct {
	Chain         string     `json:"chain_id"`
	Hash          string     `json:"hash"`
	Level         int32      `json:"level"`
	Round         int32      `json:"round"`
	Proto         uint8      `json:"proto"`
	Predecessor   string     `json:"predecessor"`
	Timestamp     time.Time  `json:"timestamp"`
	Passes        uint8      `json:"validation_pass"`
	Operations    string     `json:"operations_hash"`
	Fitness       []hexBytes `json:"fitness"`
	Context       string     `json:"context"`
	PayloadHash   string     `json:"payload_hash"`
	PayloadRound  int32      `json:"payload_round"`
	Nonce         hexBytes   `json:"proof_of_work_nonce"`
	LiquidityVote string     `json:"liquidity_baking_toggle_vote"`
	AdaptiveVote  string     `json:"adaptive_issuance_vote"`
	Signature     string     `json:"signature"`
}

var votes = map[string]byte{"on": 0, "off": 1, "pass": 2}

// tail gives the last n bytes of a text in base58 with a checksum.
func tail(t *testing.T, text string, n int) []byte {
	t.Helper()
	raw, err := base58.Decode(text)
	require.NoError(t, err)
	require.Greater(t, len(raw), n+4)
	return raw[len(raw)-4-n : len(raw)-4]
}

// unsigned gives the header without its signature, as docs/protocol.md lays it out.
func (h *headerVector) unsigned(t *testing.T) []byte {
	t.Helper()
	var fitness []byte
	for _, f := range h.Fitness {
		fitness = append(binary.BigEndian.AppendUint32(fitness, uint32(len(f))), f...)
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(h.Level))
	b = append(b, h.Proto)
	b = append(b, tail(t, h.Predecessor, 32)...)
	b = binary.BigEndian.AppendUint64(b, uint64(h.Timestamp.Unix()))
	b = append(b, h.Passes)
	b = append(b, tail(t, h.Operations, 32)...)
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(fitness))), fitness...)
	b = append(b, tail(t, h.Context, 32)...)
	b = append(b, tail(t, h.PayloadHash, 32)...)
	b = binary.BigEndian.AppendUint32(b, uint32(h.PayloadRound))
	b = append(b, h.Nonce...)
	b = append(b, 0x00) // no seed nonce hash
	return append(b, votes[h.LiquidityVote]|votes[h.AdaptiveVote]<<2)
}

func (h *headerVector) signature(t *testing.T) []byte {
	t.Helper()
	if bytes.HasPrefix([]byte(h.Signature), []byte("BLsig")) {
		return tail(t, h.Signature, 96)
	}
	return tail(t, h.Signature, 64)
}

// realHeaders are the headers of testdata/octez: of a sandbox of 2022, Paris, Seoul, Tallinn and Ushuaia.
func realHeaders(t *testing.T) (headers []headerVector) {
	t.Helper()
	text, err := os.ReadFile("../../testdata/octez/block-headers.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &headers))
	for _, protocol := range []string{"paris", "ushuaia"} {
		text, err := os.ReadFile("../../testdata/octez/block-operations-" + protocol + ".json")
		require.NoError(t, err)
		var block struct {
			Header headerVector `json:"header"`
		}
		require.NoError(t, json.Unmarshal(text, &block))
		headers = append(headers, block.Header)
	}
	require.Len(t, headers, 6)
	return headers
}

// Headers of real blocks: the block's hash proves the layout, and a payload of that layout is read without a warning.
func TestHeadersOfRealBlocks(t *testing.T) {
	for _, h := range realHeaders(t) {
		t.Run(h.Hash, func(t *testing.T) {
			unsigned := h.unsigned(t)
			hash := tezos.Digest(append(bytes.Clone(unsigned), h.signature(t)...))
			require.Equal(t, h.Hash, tezos.Hash32(hash).BlockHash(), "the layout is not that of the block")

			chain := tezos.Mainnet // of a sandbox nobody wrote down the chain, which the hash leaves out
			if h.Chain != "" {
				var err error
				chain, err = tezos.ParseChainID(h.Chain)
				require.NoError(t, err)
			}
			payload := append(append([]byte{0x11}, chain[:]...), unsigned...)
			for _, curve := range []tezos.Curve{tezos.Ed25519, tezos.BLS12381} {
				got, err := tezos.Decode(curve, payload)
				require.NoError(t, err)
				want := tezos.Request{Chain: chain, Kind: tezos.Block, Level: h.Level, Round: h.Round, Digest: got.Digest}
				require.Equal(t, want, got)
			}
		})
	}
}
