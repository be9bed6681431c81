package api_test

import (
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/mr-tron/base58"
	"github.com/stretchr/testify/require"

	"highwater/api"
	"highwater/internal/logtest"
	"highwater/internal/tezos"
)

// part is how many bytes in a row count as a part of a payload or a signature: more than a level, a round and what is
// around them.
const part = 16

// shownAs gives the texts by which bytes could stand in a log, whole or in part: hex, base58 and base64, the latter
// from each of three places, since its digits do not end where bytes do.
func shownAs(secret []byte) (texts []string) {
	texts = append(texts, base58.Encode(secret))
	for i := 0; i+part <= len(secret); i++ {
		b := secret[i : i+part]
		texts = append(texts, hex.EncodeToString(b))
		whole := base64.RawStdEncoding.EncodeToString(b[:part-part%3])
		texts = append(texts, whole, strings.NewReplacer("+", "-", "/", "_").Replace(whole))
	}
	return texts
}

// TestNoLogShowsPayloadsOrSignatures: at no level, as text or JSON, of no device. A signing session, with a replay and
// a refusal, on a Ledger and a gadget.
func TestNoLogShowsPayloadsOrSignatures(t *testing.T) {
	for _, level := range []slog.Level{
		slog.LevelDebug - 100, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError,
	} {
		for name, form := range map[string]func(*logtest.Log, *slog.HandlerOptions) slog.Handler{
			"text": func(s *logtest.Log, o *slog.HandlerOptions) slog.Handler { return slog.NewTextHandler(s, o) },
			"json": func(s *logtest.Log, o *slog.HandlerOptions) slog.Handler { return slog.NewJSONHandler(s, o) },
		} {
			t.Run(level.String()+" "+name, func(t *testing.T) {
				log := &logtest.Log{}
				logger := slog.New(form(log, &slog.HandlerOptions{Level: level}))
				r := newRigLogging(t, logger).activate()
				at := serve(t, r.octez(func(c *api.OctezConfig) { c.Log = logger }))
				var secrets [][]byte
				var texts []string
				for curve, key := range r.keys {
					path := "/keys/" + key.Hash().String()
					for n, kind := range tezos.Kinds {
						payload := step(kind, int32(n)+1).Payload(curve)
						sig := ask(t, at, "POST", path, hexBody(payload)).signature(t, key, payload)
						ask(t, at, "POST", path, hexBody(payload)).signature(t, key, payload)
						secrets = append(secrets, payload, sig.Bytes())
						texts = append(texts, sig.String())
						twin := step(kind, int32(n)+1)
						twin.Variant = 7
						secrets = append(secrets, twin.Payload(curve))
						ask(t, at, "POST", path, hexBody(twin.Payload(curve))).refusal(t, http.StatusConflict)
						ask(t, at, "POST", path, hexBody(payload[:len(payload)-40])) // odd, or another payload
						ask(t, at, "POST", path, hexBody(payload)+"x").refusal(t, http.StatusBadRequest)
					}
				}
				shown := log.String()
				if level <= slog.LevelDebug {
					require.Contains(t, shown, "ledger exchange")
					require.Contains(t, shown, "frame out")
				}
				for _, s := range secrets {
					texts = append(texts, shownAs(s)...)
				}
				lower := strings.ToLower(shown)
				for _, text := range texts {
					require.False(t, strings.Contains(shown, text) || strings.Contains(lower, strings.ToLower(text)),
						"%s is in the log", text)
				}
			})
		}
	}
}
