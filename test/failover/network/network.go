// Package network is the network of a pair or of several machines, made of network namespaces. Each link can be cut
// alone.
package network

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The network of a pair: two machines with a proxy between. Each machine has one link to the peer (over the proxy) and
// one to its octez node, and each link can be cut alone.
//
//	a ── peer, 10.77.1.0/24 ──┐          ┌── peer, 10.77.2.0/24 ── b
//	a ── node, 10.78.1.0/24 ──┴─ between ┴── node, 10.78.2.0/24 ── b
const (
	PeerPort = "6734"
	NodePort = "8732"
	LinkPeer = "peer"
	LinkNode = "node"
)

// netOf are the networks' beginnings, by link; the machine's number and the end's follow.
var netOf = map[string]string{LinkPeer: "10.77", LinkNode: "10.78"}

// Address is the address of one end of a link of machine 1 or 2: the machine's end (2), or the end in between (1).
func Address(link string, machine, end int) string {
	return fmt.Sprintf("%s.%d.%d", netOf[link], machine, end)
}

// The ends of a link.
const (
	EndBetween = 1
	EndMachine = 2
)

// Network are three network namespaces.
type Network struct {
	Machines [2]*Namespace
	Between  *Namespace
}

// New makes and connects the namespaces. Names begin with prefix.
func New(ctx context.Context, prefix string) (*Network, error) {
	n := &Network{Between: &Namespace{prefix + "-net"}}
	if err := n.Between.add(ctx); err != nil {
		return nil, err
	}
	for i, name := range []string{"-a", "-b"} {
		m := &Namespace{prefix + name}
		n.Machines[i] = m
		if err := m.add(ctx); err != nil {
			return nil, err
		}
		for link := range netOf {
			if err := n.connect(ctx, m, i+1, link); err != nil {
				return nil, err
			}
		}
	}
	return n, nil
}

// far is the name of a link's end between the machines.
func far(link string, machine int) string { return fmt.Sprintf("%s%d", link, machine) }

func (n *Network) connect(ctx context.Context, m *Namespace, machine int, link string) error {
	return errors.Join(
		n.Between.ip(ctx,
			fmt.Sprintf("link add %s type veth peer name %s netns %s", far(link, machine), link, m.Name),
			fmt.Sprintf("addr add %s/24 dev %s", Address(link, machine, EndBetween), far(link, machine)),
			fmt.Sprintf("link set %s up", far(link, machine))),
		m.ip(ctx,
			fmt.Sprintf("addr add %s/24 dev %s", Address(link, machine, EndMachine), link),
			fmt.Sprintf("link set %s up", link)))
}

// Cut takes a link of a machine (1 or 2) down, like a pulled cable. Mend puts the link up again.
func (n *Network) Cut(ctx context.Context, machine int, links ...string) error {
	return n.set(ctx, machine, "down", links)
}

// Mend puts links up again.
func (n *Network) Mend(ctx context.Context, machine int, links ...string) error {
	return n.set(ctx, machine, "up", links)
}

func (n *Network) set(ctx context.Context, machine int, state string, links []string) error {
	var lines []string
	for _, link := range links {
		lines = append(lines, fmt.Sprintf("link set %s %s", far(link, machine), state))
	}
	return n.Between.ip(ctx, lines...)
}

// Deafen loses all packets to a machine over its peer link, and no packet from the machine: the neighbour's entry gets
// an unused hardware address. Mute loses the other direction.
func (n *Network) Deafen(ctx context.Context, machine int) error {
	return n.Between.astray(ctx, Address(LinkPeer, machine, EndMachine), far(LinkPeer, machine))
}

// Mute loses all packets from a machine over its peer link.
func (n *Network) Mute(ctx context.Context, machine int) error {
	return n.Machines[machine-1].astray(ctx, Address(LinkPeer, machine, EndBetween), LinkPeer)
}

// Hear ends the effects of Deafen and Mute.
func (n *Network) Hear(ctx context.Context, machine int) error {
	return errors.Join(n.Between.found(ctx, far(LinkPeer, machine)), n.Machines[machine-1].found(ctx, LinkPeer))
}

func (s *Namespace) astray(ctx context.Context, addr, dev string) error {
	return s.ip(ctx, fmt.Sprintf("neigh replace %s lladdr 02:00:00:00:00:01 dev %s nud permanent", addr, dev))
}

// found ends the effect of astray on a device.
func (s *Namespace) found(ctx context.Context, dev string) error {
	return s.ip(ctx, "neigh flush dev "+dev+" nud all")
}

// Close frees the names. Running processes keep their network until their end.
func (n *Network) Close(ctx context.Context) error {
	return free(ctx, append(n.Machines[:], n.Between)...)
}

func free(ctx context.Context, all ...*Namespace) error {
	var err error
	for _, s := range all {
		if s != nil {
			err = errors.Join(err, ip(ctx, "", "netns", "delete", s.Name))
		}
	}
	return err
}

// Namespace is a network namespace made by `ip netns`.
type Namespace struct{ Name string }

func (s *Namespace) add(ctx context.Context) error {
	return errors.Join(ip(ctx, "", "netns", "add", s.Name), s.ip(ctx, "link set lo up"))
}

// ip runs commands of iproute2 in the namespace.
func (s *Namespace) ip(ctx context.Context, lines ...string) error {
	return ip(ctx, strings.Join(lines, "\n")+"\n", "-n", s.Name, "-batch", "-")
}

func ip(ctx context.Context, input string, args ...string) error {
	cmd := exec.CommandContext(ctx, "ip", args...) //nolint:gosec // ours
	cmd.Stdin = bytes.NewBufferString(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s\n%s", strings.Join(args, " "), err, out, input)
	}
	return nil
}

// do runs f in the namespace. Sockets and processes started by f stay in the namespace.
func (s *Namespace) do(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine, and runs nothing else
		done <- s.enter(f)
	}()
	return <-done
}

func (s *Namespace) enter(f func() error) error {
	ns, err := os.Open("/run/netns/" + s.Name)
	if err != nil {
		return err
	}
	err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
	if err = errors.Join(err, ns.Close()); err != nil {
		return fmt.Errorf("entering %s: %w", s.Name, err)
	}
	return f()
}

// dialTimeout bounds the attempt to connect over a cut link.
const dialTimeout = 2 * time.Second

// Dial connects from the namespace, to a literal address without a look-up.
func (s *Namespace) Dial(ctx context.Context, network, addr string) (conn net.Conn, err error) {
	err = s.do(func() error {
		conn, err = (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, addr)
		return err
	})
	return conn, err
}

// Listen waits for connections in the namespace.
func (s *Namespace) Listen(ctx context.Context, addr string) (l net.Listener, err error) {
	err = s.do(func() error {
		l, err = (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
		return err
	})
	return l, err
}

// Start begins a process in the namespace.
func (s *Namespace) Start(cmd *exec.Cmd) error { return s.do(cmd.Start) }
