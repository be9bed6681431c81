package nodesim_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"highwater/internal/baker"
	"highwater/internal/node/nodesim"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var chain = tezos.ChainID{1, 2, 3, 4}

func TestAChainThatAdvances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := nodesim.New(nodesim.Config{Chain: chain, Level: 7, Interval: 6 * time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); n.Run(ctx) }()
		<-time.After(31 * time.Second)
		require.Equal(t, int32(12), n.Head().Level)
		n.SetFaults(nodesim.Faults{Stuck: true})
		<-time.After(time.Minute)
		require.Equal(t, int32(12), n.Head().Level)
		cancel()
		<-done
	})
}

// Another process drives the node through Control.
func TestControl(t *testing.T) {
	n := nodesim.New(nodesim.Config{Chain: chain})
	post := func(path, body string) (int, map[string]any) {
		w := httptest.NewRecorder()
		n.Control().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body)))
		var v map[string]any
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &v))
		return w.Code, v
	}
	k, err := softkey.New(tezos.Ed25519, make([]byte, 32))
	require.NoError(t, err)
	payload := baker.Step{Chain: chain, Kind: tezos.Block, Level: 1001, Round: 3}.Payload(tezos.Ed25519)
	body, err := json.Marshal(map[string]any{
		"pkh": k.PublicKey().Hash(), "payload": hex.EncodeToString(payload), "signature": k.Sign(payload),
	})
	require.NoError(t, err)
	status, _ := post("/sim/signed", string(body))
	require.Equal(t, http.StatusOK, status)
	_, head := post("/sim/advance", "")
	require.InDelta(t, 3, head["round"], 0, "the block that was signed")
	before := n.Head()
	_, head = post("/sim/reorganise?depth=1", "")
	require.InDelta(t, 1001, head["level"], 0)
	require.NotEqual(t, before.Hash, n.Head().Hash)
	require.Greater(t, n.Head().Round, before.Round, "a branch that wins has a higher round")
	status, _ = post("/sim/faults", `{"Down": true, "Delay": 5}`)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, nodesim.Faults{Down: true, Delay: 5}, n.Faults())
	status, _ = post("/sim/cut", "")
	require.Equal(t, http.StatusOK, status)
	for path, body := range map[string]string{
		"/sim/signed": `{"payload":"xx"}`, "/sim/reorganise": "", "/sim/faults": "no",
	} {
		status, v := post(path, body)
		require.Equal(t, http.StatusBadRequest, status, path)
		require.NotEmpty(t, v["error"], path)
	}
}
