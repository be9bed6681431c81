package cmd

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"highwater/internal/tezos"
	"highwater/operate"
)

// onChain sends a signature to the script's octez node, if it has one: what is valid there is in the next block that
// has room for it.
func onChain(ts *testscript.TestScript, pkh tezos.PublicKeyHash, payload []byte, sig tezos.Signature) error {
	if n := ts.Value(octezKey{}).(*octezValue).node; n != nil { //nolint:forcetypeassert // set by withOctez
		return n.Note(pkh, payload, sig)
	}
	return nil
}

// scriptGuard waits for the guard: it looks at a block a moment after it is there.
func scriptGuard(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: guard STATE")
	}
	head := octezOf(ts).Head().Level
	for deadline := time.Now().Add(scriptPatience); ; {
		resp, err := http.Get("http://" + ts.Getenv("MONITOR") + "/status") //nolint:noctx // a test's own server
		ts.Check(err)
		var st operate.Status
		ts.Check(errors.Join(json.NewDecoder(resp.Body).Decode(&st), resp.Body.Close()))
		http.DefaultClient.CloseIdleConnections()
		if st.Guard.State == args[0] && (args[0] == operate.GuardBlind || st.Guard.Head != nil && *st.Guard.Head == head) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("the guard is %+v, the head at %d", st.Guard, head)
		}
		<-time.After(10 * time.Millisecond)
	}
}
