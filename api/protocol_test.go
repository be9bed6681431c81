package api_test

import (
	"encoding/binary"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/api"
	"highwater/internal/logtest"
	"highwater/internal/tezos"
)

// Places in a block header, and in an operation of a key without a slot field.
const (
	fitnessAt  = 83
	contextEnd = fitnessAt + 4 + 33 + 32
	tagAt      = 37
)

// TestANextProtocol sends payloads of a protocol to come, as docs/protocol.md names them, to keys on a Ledger and on a
// gadget. A block with another end is signed with a warning. All other payloads are refused with the field's name, move
// no mark, and keep no key from signing the next level.
func TestANextProtocol(t *testing.T) {
	log := &logtest.Log{}
	logger := slog.New(slog.NewJSONHandler(log, nil))
	r := newRigLogging(t, logger).activate()
	at := serve(t, r.octez(func(c *api.OctezConfig) { c.Log = logger }))
	warned, refused := 0, 0
	for _, curve := range []tezos.Curve{tezos.Ed25519, tezos.BLS12381} {
		path := "/keys/" + r.keys[curve].Hash().String()
		n := int32(0)
		next := func(kind tezos.Kind) []byte { n++; return step(kind, n).Payload(curve) }
		signs := func(payload []byte) {
			ask(t, at, http.MethodPost, path, hexBody(payload)).signature(t, r.keys[curve], payload)
		}
		refuses := func(field string, payload []byte) {
			before, err := r.store.Rows()
			require.NoError(t, err)
			a := ask(t, at, http.MethodPost, path, hexBody(payload))
			require.Equal(t, http.StatusBadRequest, a.status, "%s: %s", field, a.body)
			require.Contains(t, a.body, field)
			require.Contains(t, a.body, "`highwater check` tells", "the operator is left without advice")
			refused++
			after, err := r.store.Rows()
			require.NoError(t, err)
			require.Equal(t, before, after, "%s: the refusal moved a mark", field)
		}

		block := next(tezos.Block)
		longer := append(slices.Clone(block), 1, 2, 3)
		signs(longer)
		block = next(tezos.Block)
		signs(block[:contextEnd]) // nothing behind the context hash
		warned += 2

		block = next(tezos.Block)
		binary.BigEndian.PutUint32(block[fitnessAt:], 41) // a field more
		refuses("fitness", slices.Insert(block, fitnessAt+4+33, make([]byte, 8)...))
		block = next(tezos.Block)
		refuses("fitness", slices.Insert(block, 10, make([]byte, 32)...)) // a hash more, before the fitness

		for _, kind := range []tezos.Kind{tezos.Preattestation, tezos.Attestation} {
			op := next(kind)
			op[tagAt] = 0x2a
			refuses("tag", op)
			refuses("length", append(next(kind), 0, 0, 0, 1))
			op = next(kind)
			op[0] = 0x14
			refuses("0x14 is not", op)
		}
		signs(next(tezos.Block))
		signs(next(tezos.Preattestation))
		signs(next(tezos.Attestation))
	}
	require.Len(t, log.Lines(`"warning":"block_layout"`), warned)
	require.Len(t, log.Lines(`"hint":"a newer protocol of the chain may be the cause`), refused)
	scrape := ask(t, serve(t, api.NewMonitor(r.admin, r.metrics)), http.MethodGet, "/metrics", "").body
	require.Equal(t, strconv.Itoa(warned), sample(t, scrape, `highwater_warnings_total{warning="block_layout"}`))
}
