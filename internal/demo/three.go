package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"highwater/internal/baker"
	"highwater/internal/hints"
	"highwater/internal/node/nodesim"
	"highwater/internal/terminal"
	"highwater/internal/tezos"
	"highwater/internal/words"
)

// The story of three machines: the owner dies, a standby takes over, and the dead machine comes back.
const (
	machines  = 3
	demoAhead = 2
	killAfter = 3  // levels from the beginning of a story
	backAfter = 12 // levels
	story     = 60 // levels; the killed machine asks for the right again after some 20 levels
)

var errNoEtcd = hints.Add(errors.New("etcd is not installed: three machines share the right to sign through etcd"),
	"apt install etcd-server (Debian, Ubuntu), or see https://etcd.io; then the same command again")

// trio is a demo of three machines under way.
type trio struct {
	*terminal.Terminal
	opt      Options
	node     *nodesim.Node
	machines []*machine
	victim   *machine
	key      *tezos.PublicKey
	summary  trioSummary

	mu    sync.Mutex
	judge *baker.Judge
	wrong error // of signatures
}

// trioSummary is the result of a demo with three machines.
type trioSummary struct {
	Levels      int `json:"levels"`
	Signatures  int `json:"signatures"`
	Missed      int `json:"missed"` // levels without a signature
	DoubleSigns int `json:"double_signs"`
}

// RunThree shows three machines that share the right to sign, until its end, or until ctx ends.
func RunThree(ctx context.Context, t *terminal.Terminal, opt Options) (err error) {
	program, err := exec.LookPath("etcd")
	if err != nil {
		return errNoEtcd
	}
	dir, err := os.MkdirTemp("", "highwater-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	etcd, endpoint, err := startEtcd(ctx, program, dir)
	defer end(etcd)
	if err != nil {
		return err
	}
	d := &trio{
		Terminal: t, opt: opt, judge: baker.NewJudge(), node: nodesim.New(nodesim.Config{Chain: chain, Level: firstLevel}),
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: d.node, ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	defer func() {
		d.node.Cut()
		_ = server.Close()
		if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
			err = errors.Join(err, ended)
		}
	}()
	defer d.stop()
	if err = d.prepare(ctx, dir, "http://"+l.Addr().String(), endpoint); err == nil {
		err = d.bake(ctx)
	}
	if ctx.Err() == nil && err != nil {
		return err
	}
	return d.conclude()
}

// prepare does what docs/register.md does by hand.
func (d *trio) prepare(ctx context.Context, dir, node, endpoint string) error {
	d.say("Three machines, with the same keys on emulated Ledgers, and a register in etcd")
	for i := range machines {
		m, err := newMachine(ctx, filepath.Join(dir, fmt.Sprintf("machine-%d", i+1)), node, endpoint, i)
		if err != nil {
			return err
		}
		d.machines = append(d.machines, m)
		if err = m.do(ctx, "init", "--yes"); err != nil {
			return err
		}
	}
	first := d.machines[0]
	if err := first.do(ctx, "activate", "--yes", "--level", fmt.Sprint(firstLevel)); err != nil {
		return err
	}
	err := until(ctx, func() error { return first.do(ctx, "register", "init", "--yes") })
	if err != nil {
		return err
	}
	for _, m := range d.machines {
		if err = m.start(ctx); err != nil {
			return err
		}
		if d.key, err = m.key(ctx); err != nil {
			return err
		}
	}
	d.say("A baker on each machine asks for each level, and each baker for other bytes: two signatures would be a double\n")
	d.say("%5s  %-10s %-10s %-10s", "LEVEL", "MACHINE 1", "MACHINE 2", "MACHINE 3")
	return nil
}

func (d *trio) say(format string, args ...any) {
	if !d.opt.JSON {
		d.Say(format, args...)
	}
}

func (d *trio) stop() {
	for _, m := range d.machines {
		m.kill()
		m.client.Close()
	}
}

// bake lets the chain grow, and the owner die and come back.
func (d *trio) bake(ctx context.Context) error {
	for n := 1; (d.opt.Levels == 0 || n <= d.opt.Levels) && ctx.Err() == nil; n++ {
		signed := d.level(ctx, d.node.Advance().Level)
		d.show(signed)
		if err := d.act(ctx, n%story, signed); err != nil {
			return err
		}
	}
	return nil
}

// level asks all machines until the level ends, and tells which machines signed.
func (d *trio) level(ctx context.Context, level int32) (signed [machines]bool) {
	ctx, cancel := context.WithTimeout(ctx, d.opt.Interval)
	defer cancel()
	var all sync.WaitGroup
	for i, m := range d.machines {
		all.Go(func() { signed[i] = m.process != nil && d.attest(ctx, i, m, level) })
	}
	all.Wait()
	<-ctx.Done()
	return signed
}

// attest asks a machine until the machine signs, or the level ends.
func (d *trio) attest(ctx context.Context, i int, m *machine, level int32) bool {
	step := baker.Step{Chain: chain, Kind: tezos.Attestation, Level: level, Variant: byte('a' + i)} //nolint:gosec // three
	payload := step.Payload(d.key.Curve())
	for ctx.Err() == nil {
		if sig, err := m.client.Sign(ctx, d.key, payload); err == nil {
			d.note(payload, sig)
			return true
		}
		select {
		case <-time.After(d.opt.Interval / 10):
		case <-ctx.Done():
		}
	}
	return false
}

func (d *trio) note(payload []byte, sig tezos.Signature) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, err := d.judge.Note(d.key.Hash(), payload, sig)
	d.wrong = errors.Join(d.wrong, err)
}

// show prints a level.
func (d *trio) show(signed [machines]bool) {
	var row strings.Builder
	before := d.summary.Signatures
	for i, m := range d.machines {
		text, colour := "standby", ""
		switch {
		case signed[i]:
			text, colour = "signed", terminal.Green
			d.summary.Signatures++
		case m.process == nil:
			text, colour = "dead", terminal.Red
		}
		row.WriteString(" " + d.Paint(colour, fmt.Sprintf("%-10s", text)))
	}
	if d.summary.Signatures == before {
		d.summary.Missed++
		row.WriteString(" nobody signed")
	}
	d.summary.Levels++
	d.say("%5d %s", d.node.Head().Level, strings.TrimRight(row.String(), " "))
}

// act lets the story go on after its level n.
func (d *trio) act(ctx context.Context, n int, signed [machines]bool) error {
	switch {
	case n == killAfter && d.victim == nil:
		for i, m := range d.machines {
			if signed[i] {
				d.victim = m
				m.kill()
				d.say("machine %d, the owner of the right to sign, is killed (kill -9). Nobody is asked:", i+1)
				break
			}
		}
	case n == backAfter && d.victim != nil:
		d.say("the dead machine is started again, as a standby:")
		err := d.victim.start(ctx)
		d.victim = nil
		return err
	}
	return nil
}

func (d *trio) conclude() error {
	doubles := d.judge.Doubles()
	d.summary.DoubleSigns = len(doubles)
	s := d.summary
	if d.opt.JSON {
		if err := d.JSON(s); err != nil {
			return err
		}
	}
	d.say("\n%s, %s, %s missed, %s", words.Count(s.Levels, "level"), words.Count(s.Signatures, "signature"),
		words.Count(s.Missed, "level"), words.Count(s.DoubleSigns, "double signature"))
	if d.wrong == nil && len(doubles) > 0 {
		return fmt.Errorf("the judge found double signatures, the first: %s", doubles[0])
	}
	return d.wrong
}
