package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"highwater/test/failover/network"
	"highwater/test/failover/proxy"

	"highwater/failover"
	"highwater/operate"
	"highwater/test/harness"
)

// The ports of each machine, in its own network.
const (
	octezAddress   = "127.0.0.1:6732"
	monitorAddress = "127.0.0.1:6733"
)

// The devices of both machines hold the same keys, and lose their own marks with the process: only the protocol and the
// host's watermarks protect.
const (
	configText = `state_dir = %q
chain = %q
node = "http://%s:%s"
[server]
listen = %q
known_keys = true
[admin]
socket = %q
[monitor]
listen = %q
[peer]
listen = "%s:%s"
`
	// For the gaps: a key that is asked for all the time, in a device of its own.
	probeText = `[[device]]
name = "probe"
kind = "ledger"
transport = "sim"
[device.sim]
seed = "worth nothing: the probe"
curves = ["secp256k1"]
latency = "1ms"
`
	bakeryText = `[[device]]
name = "ledger"
kind = "ledger"
transport = "sim"
[device.sim]
seed = "worth nothing: the bakery"
curves = ["P-256"]
latency = "2ms"
[[device]]
name = "gadget"
kind = "tezsign"
serial = "gadget"
transport = "sim"
[device.sim]
seed = "worth nothing: the bakery"
keys = ["consensus"]
latency = "2ms"
`
	// A Ledger in a process of its own, which can be unplugged.
	looseText = `[[device]]
name = "loose"
kind = "ledger"
transport = "tcp://127.0.0.1:9998"
[[device]]
name = "loose probe"
kind = "ledger"
transport = "tcp://127.0.0.1:9999"
`
	// The twin of that Ledger, on the peer.
	twinText = `[[device]]
name = "twin"
kind = "ledger"
transport = "sim"
[device.sim]
seed = "` + looseSeed + `"
curves = ["P-256", "secp256k1"]
latency = "2ms"
`
)

// side is one of the two machines: the program, its network, its links.
type side struct {
	*harness.Daemon
	index   int // 0 is a, 1 is b
	net     *network.Network
	ns      *network.Namespace
	proxy   *proxy.Proxy // for the questions of this side
	key     string       // of the instance
	running atomic.Bool
	offline atomic.Bool // the node is cut off: signatures of this side do not reach the chain
	loose   *loose      // nil: the devices live in the program's process
	disk    *disk       // nil: the state lies where everything lies
}

// sideNames are the names of the two machines.
var sideNames = [...]string{"a", "b"}

func (s *side) String() string { return sideNames[s.index] }

// machine is the number of the machine in addresses.
func (s *side) machine() int { return s.index + 1 }

// newSide makes a machine's program ready: configured, with a watermark file, on standby.
func newSide(binary, dir string, index int, n *network.Network, devices string, keys int) (*side, error) {
	s := &side{index: index, net: n, ns: n.Machines[index]}
	dir = filepath.Join(dir, s.String())
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	node := network.Address(network.LinkNode, s.machine(), network.EndBetween)
	own := network.Address(network.LinkPeer, s.machine(), network.EndMachine)
	text := fmt.Sprintf(configText, filepath.Join(dir, "state"), harness.Chain, node, network.NodePort,
		octezAddress, harness.Socket(dir), monitorAddress, own, network.PeerPort)
	runtime := s.runtime()
	if err := os.MkdirAll(runtime, 0o700); err != nil {
		return nil, err
	}
	d, err := harness.Make(harness.Options{
		Host:   harness.Host{Dial: s.ns.Dial, Start: s.ns.Start},
		Binary: binary, Dir: dir, Octez: octezAddress, Monitor: monitorAddress, Config: text + devices,
		Store: harness.Store{Ahead: 1, Runtime: runtime}, Keys: keys,
	})
	s.Daemon = d
	return s, err
}

// peerAt is the address at which this side finds its peer: the proxy's.
func (s *side) peerAt() string {
	return network.Address(network.LinkPeer, s.machine(), network.EndBetween) + ":" + network.PeerPort
}

// runtime is the runtime directory of the side. /run is a tmpfs of this process alone.
func (s *side) runtime() string { return "/run/highwater-" + s.ns.Name }

// initialise makes the watermark file, and learns the instance's key.
func (s *side) initialise(ctx context.Context) error {
	if _, err := s.Command(ctx, "init", "--yes", "--store-only"); err != nil {
		return err
	}
	var v failover.View
	err := s.asked(ctx, &v, "peer", "show")
	s.key = v.Instance.String()
	return err
}

// asked runs a command with an answer in JSON.
func (s *side) asked(ctx context.Context, v any, args ...string) error {
	out, err := s.Command(ctx, append(args, "--json")...)
	if len(out) > 0 {
		err = errors.Join(err, json.Unmarshal(out, v))
	}
	return err
}

// up starts the program, and waits until all devices are ready, whatever the role.
func (s *side) up(ctx context.Context) error {
	if err := s.StartUnder(); err != nil {
		return err
	}
	s.running.Store(true)
	_, err := s.AwaitUp(ctx)
	return err
}

// kill ends the program as SIGKILL does.
func (s *side) kill() error {
	s.running.Store(false)
	return s.Kill()
}

// down ends a running program in order.
func (s *side) down() error {
	if !s.running.Swap(false) {
		return nil
	}
	return s.Stop()
}

// status asks for the status once.
func (s *side) status(ctx context.Context) (operate.Status, error) {
	admin, err := s.Admin(ctx)
	if err != nil {
		return operate.Status{}, err
	}
	return admin.Status(ctx)
}

// unplug cuts the machine off; plug connects the machine again. Without names, all links are meant.
func (s *side) unplug(ctx context.Context, links ...string) error {
	links = orAll(links)
	for _, l := range links {
		if l == network.LinkNode {
			s.offline.Store(true)
		}
	}
	return s.net.Cut(ctx, s.machine(), links...)
}

func (s *side) plug(ctx context.Context, links ...string) error {
	links = orAll(links)
	err := s.net.Mend(ctx, s.machine(), links...)
	for _, l := range links {
		if l == network.LinkNode {
			s.offline.Store(false)
		}
	}
	return err
}

func orAll(links []string) []string {
	if len(links) == 0 {
		return []string{network.LinkPeer, network.LinkNode}
	}
	return links
}
