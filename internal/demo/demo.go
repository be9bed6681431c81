// Package demo shows the signer at work: emulated devices, a moving chain, a baker, and a judge of the signatures.
package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"highwater/hwm"
	"highwater/internal/baker"
	"highwater/internal/config"
	"highwater/internal/daemon"
	"highwater/internal/terminal"
	"highwater/internal/tezos"
	"highwater/internal/words"
	"highwater/operate"
	"highwater/store"
)

// Options say how much is shown, how fast, and where.
type Options struct {
	Levels   int           // end after so many levels; 0: when the context ends
	Interval time.Duration // between two levels, more than zero
	Listen   string        // address of the signer; a free port when the address is in use
	Monitor  string        // address of metrics and status page, likewise
	JSON     bool          // print the summary alone, for programs
	Version  string        // of the program
}

// chain belongs to no network: an emulated device must not be mistaken for a real device.
var chain = tezos.ChainID{'d', 'e', 'm', 'o'}

// firstLevel is the last level before the demo.
const firstLevel = 1000

const configuration = `state_dir = %q
chain = %q
[server]
listen = %q
known_keys = true
[monitor]
listen = %q
[[device]]
name = "emulated"
kind = "ledger"
transport = "sim"
[device.sim]
seed = "the demo's seed: worth nothing"
curves = ["ed25519", "secp256k1", "P-256"]
latency = "5ms"
[[device]]
name = "gadget"
kind = "tezsign"
transport = "sim"
[device.sim]
seed = "the demo's seed: worth nothing"
keys = ["consensus", "companion"]
latency = "5ms"
`

// summary is the result of a demo.
type summary struct {
	Levels      int `json:"levels"`
	Signatures  int `json:"signatures"`
	Replays     int `json:"replays"`
	Refusals    int `json:"refusals"`
	DoubleSigns int `json:"double_signs"`
}

// patience is how long the devices are waited for.
const patience = 3 * time.Second

// demonstration is a demo under way.
type demonstration struct {
	*terminal.Terminal
	opt     Options
	cfg     *config.Config
	daemon  *daemon.Daemon
	stop    func() error
	client  *baker.Client
	judge   *baker.Judge
	keys    []bakerKey
	summary summary
}

// bakerKey is a key of the demo's baker.
type bakerKey struct {
	*tezos.PublicKey
	alias string
}

// companion tells whether the key signs the DAL part: attestations only, the same bytes as the consensus key.
func (k bakerKey) companion() bool { return k.alias == "companion" }

// Run shows the demo until its end, or until ctx ends. A wrong signature or a wrong refusal is an error.
func Run(ctx context.Context, t *terminal.Terminal, opt Options) (err error) {
	dir, err := os.MkdirTemp("", "highwater-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d := &demonstration{Terminal: t, opt: opt, judge: baker.NewJudge()}
	if err = d.prepare(ctx, dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	d.introduce()
	if err := d.bake(ctx); err != nil {
		return err
	}
	return d.conclude()
}

// prepare makes the instance as the README does by hand: init, marks, activate, serve.
func (d *demonstration) prepare(ctx context.Context, dir string) error {
	state := filepath.Join(dir, "state")
	text := fmt.Sprintf(configuration, state, chain, freeAddress(ctx, d.opt.Listen), freeAddress(ctx, d.opt.Monitor))
	cfg, err := config.Parse(text)
	if err != nil {
		return err
	}
	d.cfg = cfg
	if err := store.Create(ctx, state, time.Now()); err != nil {
		return err
	}
	if err := d.start(ctx); err != nil {
		return err
	}
	d.daemon.Settle(ctx, patience)
	d.daemon.Signer.Learn()
	level := int32(firstLevel)
	if _, err := d.daemon.Admin.Activate(ctx, operate.ActivateRequest{Level: &level, Why: "demo"}); err != nil {
		return err
	}
	return d.findKeys(ctx)
}

// findKeys asks for the keys as a client does, and for their names as the operator would.
func (d *demonstration) findKeys(ctx context.Context) error {
	rows, err := d.daemon.Admin.Keys(ctx)
	if err != nil {
		return err
	}
	for _, row := range rows {
		key, err := d.client.PublicKey(ctx, row.PKH)
		if err != nil {
			return err
		}
		d.keys = append(d.keys, bakerKey{key, row.Alias})
	}
	return nil
}

// freeAddress is the address, or, when the address is in use, a free port of the same host.
func freeAddress(ctx context.Context, address string) string {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return "127.0.0.1:0"
	}
	_ = l.Close()
	return address
}

func (d *demonstration) start(ctx context.Context) error {
	daemon, err := daemon.New(ctx, d.cfg, slog.New(slog.DiscardHandler), d.opt.Version)
	if err != nil {
		return err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- daemon.Run(running) }()
	d.daemon = daemon
	d.stop = func() error { cancel(); return <-ended }
	d.client = baker.New("http://"+daemon.Addresses["octez"], false)
	// The same addresses after a restart.
	d.cfg.Server.Listen, d.cfg.Monitor.Listen = daemon.Addresses["octez"], daemon.Addresses["monitor"]
	return nil
}

func (d *demonstration) introduce() {
	if d.opt.JSON {
		return
	}
	d.Say("An emulated Ledger, an emulated TezSign, a chain of %s a level, and a baker. The signer is at http://%s",
		d.opt.Interval, d.cfg.Server.Listen)
	d.Say("  its keys:     curl http://%s/known_keys", d.cfg.Server.Listen)
	d.Say("  status page:  http://%s/", d.cfg.Monitor.Listen)
	for _, k := range d.keys {
		d.Say("  %s  %-9s  %s", k.Hash(), k.Curve(), words.ShortAlias(k.alias))
	}
	d.Say("\n%5s  %-11s  %-14s %-8s  %9s", "LEVEL", "KEY", "KIND", "RESULT", "TIME")
}

// bake asks for signatures at every level.
func (d *demonstration) bake(ctx context.Context) error {
	tick := time.NewTicker(d.opt.Interval)
	defer tick.Stop()
	for n := 1; d.opt.Levels == 0 || n <= d.opt.Levels; n++ {
		if err := d.level(ctx, n); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		d.summary.Levels = n
		if n == d.opt.Levels {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// Special events come every so many levels, and in the third level at the latest.
const (
	replayEvery  = 3
	doubleEvery  = 4
	restartEvery = 20
	restartFirst = 2
)

func (d *demonstration) level(ctx context.Context, n int) error {
	level := int32(firstLevel + n) //nolint:gosec // a demo ends long before
	for i, key := range d.keys {
		kinds := []tezos.Kind{tezos.Preattestation, tezos.Attestation}
		switch {
		case key.companion():
			kinds = kinds[1:]
		case n%len(d.keys) == i:
			kinds = append([]tezos.Kind{tezos.Block}, kinds...)
		}
		for _, kind := range kinds {
			if err := d.ask(ctx, key, baker.Step{Chain: chain, Kind: kind, Level: level, DAL: n % 2}, "signed"); err != nil {
				return err
			}
		}
	}
	again := baker.Step{Chain: chain, Kind: tezos.Attestation, Level: level, DAL: n % 2}
	if n%replayEvery == 1 {
		if err := d.ask(ctx, d.keys[n%len(d.keys)], again, "replayed"); err != nil {
			return err
		}
	}
	if n%doubleEvery == 1 {
		again.Variant = 0xee
		if err := d.ask(ctx, d.keys[n%len(d.keys)], again, "refused"); err != nil {
			return err
		}
	}
	if n == restartFirst || n%restartEvery == 0 {
		return d.restart(ctx, level)
	}
	return nil
}

// ask sends one request, and compares the outcome with the wanted outcome.
func (d *demonstration) ask(ctx context.Context, key bakerKey, step baker.Step, want string) error {
	payload := step.Payload(key.Curve())
	start := time.Now()
	sig, err := d.client.Sign(ctx, key.PublicKey, payload)
	took := time.Since(start)
	got := ""
	var refusal *baker.Refusal
	switch {
	case errors.As(err, &refusal) && refusal.Status == http.StatusConflict:
		got = "refused"
		d.summary.Refusals++
	case err != nil:
		return err
	default:
		isNew, err := d.judge.Note(key.Hash(), payload, sig)
		if err != nil {
			return err
		}
		got = "replayed"
		if isNew {
			got = "signed"
			d.summary.Signatures++
		} else {
			d.summary.Replays++
		}
	}
	d.event(key, step, got, took, sig, refusal)
	if got != want {
		return fmt.Errorf("%s %s at level %d was %s, and should have been %s", key.Hash(), step.Kind, step.Level, got, want)
	}
	return nil
}

func (d *demonstration) event(
	key bakerKey, s baker.Step, got string, took time.Duration, sig tezos.Signature, no *baker.Refusal,
) {
	if d.opt.JSON {
		return
	}
	colour, text := terminal.Green, ""
	switch got {
	case "signed":
		text = sig.String()[:20] + "…"
	case "replayed":
		colour, text = terminal.Yellow, "the same bytes were asked again: the same signature"
	default:
		text, _, _ = strings.Cut(no.Text, " (hint:")
		_, text, _ = strings.Cut(text, ": ")
		colour = terminal.Red
	}
	d.Say("%5d  %s…  %-14s %s  %6.1f ms  %s", s.Level, key.Hash().String()[:10], s.Kind,
		d.Paint(colour, fmt.Sprintf("%-8s", got)), float64(took.Microseconds())/1000, text)
}

// restart ends the signer, and starts the signer again on the same state. A request for an old level with other bytes
// is then refused.
func (d *demonstration) restart(ctx context.Context, level int32) error {
	if err := d.stop(); err != nil {
		return err
	}
	if err := d.start(ctx); err != nil {
		return err
	}
	d.daemon.Settle(ctx, patience)
	role := d.daemon.Store.Role()
	if role.Role != hwm.Active {
		return fmt.Errorf("after a restart the role is %s", role.Role)
	}
	if !d.opt.JSON {
		d.Say("%s", d.Paint(terminal.Bold, "the signer was restarted; still active, the signer remembers:"))
	}
	return d.ask(ctx, d.keys[0], baker.Step{Chain: chain, Kind: tezos.Attestation, Level: level, Variant: 0xdd}, "refused")
}

func (d *demonstration) conclude() error {
	doubles := d.judge.Doubles()
	d.summary.DoubleSigns = len(doubles)
	if d.opt.JSON {
		if err := d.JSON(d.summary); err != nil {
			return err
		}
	} else {
		s := d.summary
		d.Say("\n%s, %s, %s, %s, %s", words.Count(s.Levels, "level"), words.Count(s.Signatures, "signature"),
			words.Count(s.Replays, "replay"),
			words.Count(s.Refusals, "refusal"), words.Count(s.DoubleSigns, "double signature"))
	}
	if len(doubles) > 0 {
		return fmt.Errorf("the judge found double signatures, the first: %s", doubles[0])
	}
	return nil
}
