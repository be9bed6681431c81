package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"highwater/internal/baker"
	"highwater/internal/config"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
	"highwater/ledger"
	"highwater/ledger/ledgersim"
	"highwater/test/harness"
)

// leakChecked looks for goroutines that are left when all tests have ended.
type leakChecked struct{ *testing.M }

func (m leakChecked) Run() int {
	code := m.M.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){
		"highwater": func() { os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// TestScript runs the program as its users do, a file a topic. Each has a configuration with an emulated Ledger at
// $HIGHWATER_CONFIG, free ports at $LISTEN, $MONITOR and $LEDGER, its tz1 key as $TZ, an unknown address as $OTHER, and
// these commands besides testscript's own:
//
//	await ADDRESS          wait until something listens at HOST:PORT or a socket's path
//	until REGEXP COMMAND…  run a command until its standard output matches, which becomes the script's
//	get URL STATUS         GET; the body becomes standard output
//	bake LEVEL STATUS      ask $LISTEN for an attestation of every known key, as octez-baker does; 200 is a signature, and on its way to
//	                       the chain of the script's octez node. With AT and a letter behind it: ask there, and for other bytes
//	rows FILE FIELD…       the JSON array has rows, and each has these fields and no others; FIELD? may be missing
//	json FILE PATH VALUE   the JSON value has this value there; PATH is fields and indices with dots between
//	status N COMMAND…      the exit status of highwater is N
//	count FILE N           the JSON array has N elements
//	octez …                an emulated octez node at $NODE: see scriptOctez
//	guard STATE            wait until the guard at $MONITOR has dealt with that node's head, and is in this state
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true, Setup: setupScript,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await": scriptAwait, "get": scriptGet, "bake": scriptBake, "rows": scriptRows, "json": scriptJSON,
			"count":  scriptCount,
			"status": scriptStatus, "until": scriptUntil, "octez": scriptOctez, "guard": scriptGuard,
		},
	})
}

const scriptSeed = "a script"

const scriptConfig = `state_dir = %q
chain = "NetXnHfVqm9iesp"
[server]
listen = %q
known_keys = true
[monitor]
listen = %q
[[device]]
name = "left"
kind = "ledger"
transport = "sim"
[device.sim]
seed = "` + scriptSeed + `"
curves = ["ed25519", "secp256k1"]
`

func setupScript(env *testscript.Env) error {
	for _, name := range []string{"LISTEN", "MONITOR", "LEDGER", "LISTEN2", "PEER", "PEER2", "NODE"} {
		address, err := harness.FreeAddress(context.Background())
		if err != nil {
			return err
		}
		env.Setenv(name, address)
	}
	sim, err := ledgersim.New(ledgersim.Options{Seed: scriptSeed})
	if err != nil {
		return err
	}
	other, err := softkey.New(tezos.P256, []byte("a key of nobody here"))
	if err != nil {
		return err
	}
	key, err := sim.PublicKey(ledger.Ed25519, ledger.DefaultPath)
	if err != nil {
		return err
	}
	path := filepath.Join(env.WorkDir, "highwater.toml")
	for name, value := range map[string]string{
		config.Env: path, "NO_COLOR": "1", "TZ": key.Hash().String(), "OTHER": other.PublicKey().Hash().String(),
	} {
		env.Setenv(name, value)
	}
	withOctez(env)
	env.Values[scriptEnv{}] = env
	second := fmt.Appendf(nil, scriptConfig, filepath.Join(env.WorkDir, "state2"), env.Getenv("LISTEN2"), "")
	if err := os.WriteFile(filepath.Join(env.WorkDir, "second.toml"), second, 0o600); err != nil {
		return err
	}
	first := fmt.Appendf(nil, scriptConfig, filepath.Join(env.WorkDir, "state"), env.Getenv("LISTEN"),
		env.Getenv("MONITOR"))
	return os.WriteFile(path, first, 0o600)
}

// scriptPatience is how long a script waits for what should come.
const scriptPatience = 20 * time.Second

func scriptAwait(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await ADDRESS")
	}
	network := "tcp"
	if strings.HasPrefix(args[0], "/") {
		network = "unix"
	}
	for deadline := time.Now().Add(scriptPatience); ; {
		c, err := net.Dial(network, args[0]) //nolint:noctx // bounded by the deadline
		if err == nil {
			ts.Check(c.Close())
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%v", err)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// scriptEnv is the key of a script's environment among its values.
type scriptEnv struct{}

// scriptUntil waits for what a command shows: neither the daemon nor the kernel tells a script of it. The failure shows
// what was seen last.
func scriptUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until REGEXP COMMAND…")
	}
	wanted := regexp.MustCompile("(?m)" + args[0])
	env, ok := ts.Value(scriptEnv{}).(*testscript.Env)
	if !ok {
		ts.Fatalf("the script has no environment")
	}
	ctx, cancel := context.WithTimeout(context.Background(), scriptPatience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		c := exec.CommandContext(ctx, args[1], args[2:]...)
		c.Dir, c.Env = ts.MkAbs("."), env.Vars
		var said bytes.Buffer
		c.Stderr = &said
		out, err := c.Output()
		if wanted.Match(out) {
			writeLine(ts, string(out))
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			ts.Fatalf("%s %v did not come within %s; seen last (%v):\n%s%s", args[0], args[1:], scriptPatience, err, out,
				said.Bytes())
		}
	}
}

func scriptGet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: get URL STATUS")
	}
	resp, err := http.Get(args[0]) //nolint:noctx // a test's own server
	ts.Check(err)
	body, err := io.ReadAll(resp.Body)
	ts.Check(errors.Join(err, resp.Body.Close()))
	http.DefaultClient.CloseIdleConnections()
	writeLine(ts, string(body))
	if strconv.Itoa(resp.StatusCode) != args[1] {
		ts.Fatalf("%s, not %s: %s", resp.Status, args[1], body)
	}
}

func scriptBake(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 && len(args) != 4 {
		ts.Fatalf("usage: bake LEVEL STATUS [AT LETTER]")
	}
	level, err := strconv.ParseInt(args[0], 10, 32)
	ts.Check(err)
	chain, err := tezos.ParseChainID("NetXnHfVqm9iesp")
	ts.Check(err)
	s, at := baker.Step{Chain: chain, Kind: tezos.Attestation, Level: int32(level)}, ts.Getenv("LISTEN")
	if len(args) == 4 {
		at, s.Variant = args[2], args[3][0]
	}
	ctx, cancel := context.WithTimeout(context.Background(), scriptPatience)
	defer cancel()
	c := baker.New("http://"+at, false)
	defer c.Close()
	keys, err := c.KnownKeys(ctx)
	ts.Check(err)
	if len(keys) == 0 {
		ts.Fatalf("no key is known")
	}
	for _, pkh := range keys {
		key, err := c.PublicKey(ctx, pkh)
		ts.Check(err)
		status := "200"
		sig, err := c.Sign(ctx, key, s.Payload(pkh.Curve))
		var no *baker.Refusal
		if errors.As(err, &no) {
			status = strconv.Itoa(no.Status)
			writeLine(ts, no.Text)
		} else {
			ts.Check(err)
			ts.Check(onChain(ts, pkh, s.Payload(pkh.Curve), sig))
		}
		if status != args[1] {
			ts.Fatalf("%s at %d: %s, not %s (%v)", pkh, level, status, args[1], err)
		}
	}
}

func writeLine(ts *testscript.TestScript, text string) {
	_, err := io.WriteString(ts.Stdout(), text+"\n")
	ts.Check(err)
}

func readJSON(ts *testscript.TestScript, file string, into any) {
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile(file)))
	ts.Check(dec.Decode(into))
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		ts.Fatalf("something follows the JSON value")
	}
}

func scriptRows(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: rows FILE FIELD…")
	}
	var rows []map[string]any
	readJSON(ts, args[0], &rows)
	if len(rows) == 0 {
		ts.Fatalf("no rows")
	}
	for _, row := range rows {
		for name := range row {
			if !slices.Contains(args[1:], name) && !slices.Contains(args[1:], name+"?") {
				ts.Fatalf("a row has %q, which is not in the documented shape: %v", name, row)
			}
		}
		for _, name := range args[1:] {
			if _, ok := row[name]; !ok && !strings.HasSuffix(name, "?") {
				ts.Fatalf("a row lacks %q: %v", name, row)
			}
		}
	}
}

func scriptCount(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: count FILE N")
	}
	var list []any
	readJSON(ts, args[0], &list)
	if strconv.Itoa(len(list)) != args[1] {
		ts.Fatalf("%d elements, not %s", len(list), args[1])
	}
}

func scriptJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: json FILE PATH VALUE")
	}
	var v any
	readJSON(ts, args[0], &v)
	for _, step := range strings.Split(args[1], ".") {
		switch at := v.(type) {
		case map[string]any:
			next, ok := at[step]
			if !ok {
				ts.Fatalf("there is no %q in %v", step, at)
			}
			v = next
		case []any:
			i, err := strconv.Atoi(step)
			ts.Check(err)
			if i >= len(at) {
				ts.Fatalf("%d elements only", len(at))
			}
			v = at[i]
		default:
			ts.Fatalf("nothing is behind %v", v)
		}
	}
	got, err := json.Marshal(v)
	ts.Check(err)
	if text := strings.Trim(string(got), `"`); (text == args[2]) == neg {
		ts.Fatalf("%s is %s", args[1], text)
	}
}

// scriptStatus runs highwater and looks at its exit status; a script alone tells only zero from the rest.
func scriptStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N ARGUMENT…")
	}
	got := "0"
	if err := ts.Exec("highwater", args[1:]...); err != nil {
		_, got, _ = strings.Cut(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("exit status %s, not %s", got, args[0])
	}
}
