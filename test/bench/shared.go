package main

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
	"time"

	"highwater/internal/node/nodesim"
	"highwater/test/harness"
)

// shared is the cost of a register: one build alone, with a register, and with a register on slow disks, each asked at
// a baker's pace in one run.
type shared struct {
	signers []*paced        // in the order of sharers
	idle    []time.Duration // the processor time of each without a request, for idleTime
	none    error           // reason for the lack of a register
}

// Targets of a register.
const (
	sharedP50  = 1.02
	sharedP99  = 1.1
	sharedIdle = 0.005 // of a core
)

// idleTime is how long the processor time without a request is measured.
const idleTime = 30 * time.Second

// members is the number of members of a register.
const members = 3

// sharer is a signer of the comparison.
type sharer struct {
	name   string
	shares bool
	under  []string // front of a member's command line
}

func sharers() []sharer {
	return []sharer{
		{name: "alone"},
		{name: "register", shares: true},
		{name: "register, each member's sync +100 ms", shares: true, under: harness.SlowDisk(stallSync)},
	}
}

const nodeConfig = `node = "http://%s"
`

const registerConfig = `[register]
endpoints = [%s]
ahead = 3
`

// measureShared asks all signers at once. The chain grows by a level for each level of the baker.
func (p plan) measureShared(ctx context.Context, limit time.Duration) (out shared, err error) {
	for _, tool := range []string{"etcd", "strace"} {
		if _, out.none = exec.LookPath(tool); out.none != nil {
			return out, nil
		}
	}
	chain := nodesim.New(nodesim.Config{Chain: benchChain, Level: benchStart})
	at, endNode, err := serveNode(ctx, chain)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, endNode()) }()
	var ends []func() error
	defer func() {
		for i := len(ends) - 1; i >= 0; i-- {
			err = errors.Join(err, ends[i]())
		}
	}()
	for _, s := range sharers() {
		rest := emulated(1, deviceLatency)
		if s.shares {
			endpoints, end, startErr := p.startRegister(ctx, s.under)
			ends = append(ends, end)
			if startErr != nil {
				return out, startErr
			}
			rest += fmt.Sprintf(registerConfig, `"`+strings.Join(endpoints, `", "`)+`"`)
		}
		d, startErr := p.startSharer(ctx, s, rest, 1, at)
		if startErr != nil {
			return out, fmt.Errorf("%s: %w", s.name, startErr)
		}
		ends = append(ends, d.Stop)
		out.signers = append(out.signers, &paced{Name: s.name, asked: d.contender, from: d})
	}
	err = p.askShared(ctx, &out, chain, limit)
	return out, err
}

// serveNode serves an emulated node until end.
func serveNode(ctx context.Context, chain *nodesim.Node) (at net.Addr, end func() error, err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	server := &http.Server{Handler: chain, ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	return l.Addr(), func() error {
		chain.Cut()
		err := server.Close()
		if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
			err = errors.Join(err, ended)
		}
		return err
	}, nil
}

// askShared lets the chain grow, asks, and measures the time without a request afterwards.
func (p plan) askShared(ctx context.Context, out *shared, chain *nodesim.Node, limit time.Duration) error {
	grown := make(chan struct{})
	growing, stop := context.WithCancel(ctx)
	go func() { defer close(grown); grow(growing, chain, p.level) }()
	defer func() { stop(); <-grown }()
	sleep, err := keepAwake(ctx)
	if err != nil {
		return err
	}
	err = pace(ctx, out.signers, p.level, limit)
	sleep()
	if err != nil {
		return err
	}
	var before []time.Duration
	for _, s := range out.signers {
		before = append(before, processorTime(s.asked.process.PID()))
	}
	select {
	case <-time.After(idleTime):
	case <-ctx.Done():
		return ctx.Err()
	}
	for i, s := range out.signers {
		out.idle = append(out.idle, processorTime(s.asked.process.PID())-before[i])
	}
	return nil
}

// grow makes a block at once, and one for each period.
func grow(ctx context.Context, chain *nodesim.Node, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		chain.Advance()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// startSharer makes and starts a daemon; with a register, with the first record.
func (p plan) startSharer(ctx context.Context, s sharer, rest string, keys int, node net.Addr) (*daemon, error) {
	d, err := newDaemonUnder(ctx, p.binary, p.dir, rest, keys, nil, p.store(), fmt.Sprintf(nodeConfig, node))
	if err != nil {
		return nil, err
	}
	if err = d.activate(ctx); err != nil {
		return nil, err
	}
	if s.shares {
		if _, err = d.Command(ctx, "register", "init", "--yes"); err != nil {
			return nil, err
		}
	}
	err = d.start(ctx)
	return d, err
}

// startRegister starts a register of its own, and waits for its leader.
func (p plan) startRegister(ctx context.Context, under []string) (endpoints []string, end func() error, err error) {
	var all []*harness.Process
	end = func() error {
		var errs []error
		for _, m := range all {
			errs = append(errs, m.EndAnyhow())
		}
		return errors.Join(errs...)
	}
	dir, err := os.MkdirTemp(p.dir, "etcd-")
	if err != nil {
		return nil, end, err
	}
	var peers, cluster []string
	for i := range members {
		client, clientErr := harness.FreeAddress(ctx)
		peer, peerErr := harness.FreeAddress(ctx)
		if err = errors.Join(clientErr, peerErr); err != nil {
			return nil, end, err
		}
		endpoints, peers = append(endpoints, "http://"+client), append(peers, "http://"+peer)
		cluster = append(cluster, fmt.Sprintf("m%d=%s", i, peers[i]))
	}
	for i := range members {
		name := fmt.Sprintf("m%d", i)
		m, startErr := harness.Spawn(filepath.Join(dir, name+".log"), append(under, "etcd", "--name", name,
			"--data-dir", filepath.Join(dir, name), "--listen-client-urls", endpoints[i], "--advertise-client-urls", endpoints[i],
			"--listen-peer-urls", peers[i], "--initial-advertise-peer-urls", peers[i],
			"--initial-cluster", strings.Join(cluster, ","))...)
		if startErr != nil {
			return nil, end, startErr
		}
		all = append(all, m)
	}
	for i, m := range all {
		if err = awaitPage(ctx, m, endpoints[i]+"/health"); err != nil {
			return nil, end, err
		}
	}
	return endpoints, end, nil
}

// sharedRows are the targets of a register.
func (m measured) sharedRows() []row {
	var out []row
	for i, s := range sharers() {
		if !s.shares {
			continue
		}
		what := "baker's pace, " + s.name + ", beside the same build alone: "
		out = append(out,
			m.sharedRow(what+"p50", i, sharedP50, paced.p50), m.sharedRow(what+"p99", i, sharedP99, paced.p99))
	}
	idle := row{what: "idle owner with a register, at the pace of the chain: processor time", target: "≤ 0.5 % of a core"}
	idle.measured, idle.verdict = m.shared.unmeasured(), unknown
	if len(m.shared.idle) == len(sharers()) {
		alone, own := share(m.shared.idle[0]), share(m.shared.idle[1])
		idle.measured = fmt.Sprintf("%.2f %% (alone: %.2f %%)", 100*own, 100*alone)
		idle.ratio, idle.verdict = times(own/sharedIdle), verdictOf(own <= sharedIdle*max(1, m.margin))
	}
	return append(out, idle)
}

func share(of time.Duration) float64 { return of.Seconds() / idleTime.Seconds() }

func (s shared) unmeasured() string {
	if s.none == nil {
		return "not measured"
	}
	return "not measured: " + s.none.Error()
}

func (m measured) sharedRow(what string, i int, most float64, of func(paced) time.Duration) row {
	r := row{what: what, target: fmt.Sprintf("≤ %.2f ×", most), measured: m.shared.unmeasured(), verdict: unknown}
	if len(m.shared.signers) != len(sharers()) {
		return r
	}
	alone, with := *m.shared.signers[0], *m.shared.signers[i]
	n := ratio(of(with).Seconds(), of(alone).Seconds())
	r.ratio = times(n)
	r.measured = fmt.Sprintf("%s beside %s; %d of %d lost", milli(of(with)), milli(of(alone)), len(with.Lost),
		len(with.Lost)+len(with.Latency))
	r.verdict = verdictOf(n <= most*max(1, m.margin) && len(with.Lost) == 0)
	return r
}
