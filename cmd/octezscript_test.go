package cmd

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"highwater/internal/node"
	"highwater/internal/node/nodesim"
	"highwater/internal/tezos"
)

// scriptNode is a script's emulated octez node.
type scriptNode struct {
	*nodesim.Node
	srv    *http.Server
	done   chan error
	bakers *scriptBakers // nil: the script makes the blocks
}

// scriptOctez starts and drives an emulated octez node at $NODE:
//
//	octez start LEVEL KEY…   KEYs bake in turn with strangers, KEY by KEY among 30 of them, and attest every level
//	octez bake LEVEL         the chain advances five levels a second, and a baker at $LISTEN and one at $LISTEN2 attest with every known key
//	octez advance N          N blocks
//	octez faults JSON        what is wrong with it
//	octez stop               end it; its bakers must have been given nothing twice
func scriptOctez(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 || args[0] == "stop" != (len(args) == 1) {
		ts.Fatalf("usage: octez start|bake|advance|faults VALUE… | octez stop")
	}
	switch args[0] {
	case "start":
		startOctez(ts, args[1], slices.Concat(strangers(ts), parseBakers(ts, args[2:])))
	case "bake":
		bakers, err := newScriptBakers(ts)
		ts.Check(err)
		startOctez(ts, args[1], bakers.rights()).bakeWith(bakers)
	case "advance":
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		for range n {
			octezOf(ts).Advance()
		}
	case "faults":
		var f nodesim.Faults
		ts.Check(json.Unmarshal([]byte(args[1]), &f))
		octezOf(ts).SetFaults(f)
	case "stop":
		n := octezOf(ts)
		ts.Value(octezKey{}).(*octezValue).node = nil //nolint:forcetypeassert // set by withOctez
		ts.Check(n.close())
	default:
		ts.Fatalf("octez cannot %q", args[0])
	}
}

// octezKey finds a script's node.
type (
	octezKey   struct{}
	octezValue struct{ node *scriptNode }
)

func octezOf(ts *testscript.TestScript) *scriptNode {
	n := ts.Value(octezKey{}).(*octezValue).node //nolint:forcetypeassert // set by withOctez
	if n == nil {
		ts.Fatalf("no octez node was started")
	}
	return n
}

// strangers bake too, so that the script's keys do not bake every block.
func strangers(ts *testscript.TestScript) []node.Signer {
	return slices.Repeat(parseBakers(ts, []string{ts.Getenv("OTHER")}), 30)
}

func parseBakers(ts *testscript.TestScript, keys []string) (bakers []node.Signer) {
	for _, text := range keys {
		pkh, err := tezos.ParsePublicKeyHash(text)
		ts.Check(err)
		bakers = append(bakers, node.Signer{Delegate: pkh, Key: pkh})
	}
	return bakers
}

// scriptChainID is the chain of a script's configurations.
func scriptChainID(ts *testscript.TestScript) tezos.ChainID {
	chain, err := tezos.ParseChainID("NetXnHfVqm9iesp")
	ts.Check(err)
	return chain
}

func startOctez(ts *testscript.TestScript, at string, bakers []node.Signer) *scriptNode {
	value := ts.Value(octezKey{}).(*octezValue) //nolint:forcetypeassert // set by withOctez
	if value.node != nil {
		ts.Fatalf("an octez node runs already")
	}
	level, err := strconv.ParseInt(at, 10, 32)
	ts.Check(err)
	l, err := net.Listen("tcp", ts.Getenv("NODE")) //nolint:noctx // closed with the server
	ts.Check(err)
	n := &scriptNode{
		Node: nodesim.New(nodesim.Config{Chain: scriptChainID(ts), Level: int32(level), Bakers: bakers}),
		done: make(chan error, 1),
	}
	n.srv = &http.Server{
		Handler: n, ReadHeaderTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	go func() { n.done <- n.srv.Serve(l) }()
	value.node = n
	return n
}

// bakeWith lets the chain advance by itself.
func (n *scriptNode) bakeWith(b *scriptBakers) {
	n.bakers = b
	b.start(n.Node)
}

func (n *scriptNode) close() (err error) {
	if n.bakers != nil {
		err = n.bakers.end()
	}
	err = errors.Join(err, n.srv.Close())
	if served := <-n.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// withOctez gives a script room for its node, which ends with it.
func withOctez(env *testscript.Env) {
	value := &octezValue{}
	env.Values[octezKey{}] = value
	env.Defer(func() {
		if value.node == nil {
			return
		}
		if err := value.node.close(); err != nil {
			env.T().Fatal(err)
		}
	})
}
