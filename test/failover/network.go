package main

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

	"golang.org/x/sys/unix"
)

// The network of a pair: two machines with a proxy between. Each machine has one link to the peer (over the proxy) and
// one to its octez node, and each link can be cut alone.
//
//	a ── peer, 10.77.1.0/24 ──┐          ┌── peer, 10.77.2.0/24 ── b
//	a ── node, 10.78.1.0/24 ──┴─ between ┴── node, 10.78.2.0/24 ── b
const (
	peerPort = "6734"
	nodePort = "8732"
	linkPeer = "peer"
	linkNode = "node"
)

// netOf are the networks' beginnings, by link; the machine's number and the end's follow.
var netOf = map[string]string{linkPeer: "10.77", linkNode: "10.78"}

// address is the address of one end of a link of machine 1 or 2: the machine's end (2), or the end in between (1).
func address(link string, machine, end int) string {
	return fmt.Sprintf("%s.%d.%d", netOf[link], machine, end)
}

const (
	endBetween = 1
	endMachine = 2
)

// network are three network namespaces.
type network struct {
	machines [2]*namespace
	between  *namespace
}

// newNetwork makes and connects the namespaces. Names begin with prefix.
func newNetwork(ctx context.Context, prefix string) (*network, error) {
	n := &network{between: &namespace{prefix + "-net"}}
	if err := n.between.add(ctx); err != nil {
		return nil, err
	}
	for i, name := range []string{"-a", "-b"} {
		m := &namespace{prefix + name}
		n.machines[i] = m
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

func (n *network) connect(ctx context.Context, m *namespace, machine int, link string) error {
	return errors.Join(
		n.between.ip(ctx,
			fmt.Sprintf("link add %s type veth peer name %s netns %s", far(link, machine), link, m.name),
			fmt.Sprintf("addr add %s/24 dev %s", address(link, machine, endBetween), far(link, machine)),
			fmt.Sprintf("link set %s up", far(link, machine))),
		m.ip(ctx,
			fmt.Sprintf("addr add %s/24 dev %s", address(link, machine, endMachine), link),
			fmt.Sprintf("link set %s up", link)))
}

// cut takes a link of a machine (1 or 2) down, like a pulled cable. mend puts the link up again.
func (n *network) cut(ctx context.Context, machine int, links ...string) error {
	return n.set(ctx, machine, "down", links)
}

func (n *network) mend(ctx context.Context, machine int, links ...string) error {
	return n.set(ctx, machine, "up", links)
}

func (n *network) set(ctx context.Context, machine int, state string, links []string) error {
	var lines []string
	for _, link := range links {
		lines = append(lines, fmt.Sprintf("link set %s %s", far(link, machine), state))
	}
	return n.between.ip(ctx, lines...)
}

// deafen loses all packets to a machine over its peer link, and no packet from the machine: the neighbour's entry gets
// an unused hardware address. mute loses the other direction.
func (n *network) deafen(ctx context.Context, machine int) error {
	return n.between.astray(ctx, address(linkPeer, machine, endMachine), far(linkPeer, machine))
}

func (n *network) mute(ctx context.Context, machine int) error {
	return n.machines[machine-1].astray(ctx, address(linkPeer, machine, endBetween), linkPeer)
}

// hear ends both.
func (n *network) hear(ctx context.Context, machine int) error {
	return errors.Join(
		n.between.ip(ctx, "neigh flush dev "+far(linkPeer, machine)+" nud all"),
		n.machines[machine-1].ip(ctx, "neigh flush dev "+linkPeer+" nud all"))
}

func (s *namespace) astray(ctx context.Context, addr, dev string) error {
	return s.ip(ctx, fmt.Sprintf("neigh replace %s lladdr 02:00:00:00:00:01 dev %s nud permanent", addr, dev))
}

// close frees the names. Running processes keep their network until their end.
func (n *network) close(ctx context.Context) error {
	var err error
	for _, s := range append(n.machines[:], n.between) {
		if s != nil {
			err = errors.Join(err, ip(ctx, "", "netns", "delete", s.name))
		}
	}
	return err
}

// namespace is a network namespace made by `ip netns`.
type namespace struct{ name string }

func (s *namespace) add(ctx context.Context) error {
	return errors.Join(ip(ctx, "", "netns", "add", s.name), s.ip(ctx, "link set lo up"))
}

// ip runs commands of iproute2 in the namespace.
func (s *namespace) ip(ctx context.Context, lines ...string) error {
	return ip(ctx, strings.Join(lines, "\n")+"\n", "-n", s.name, "-batch", "-")
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
func (s *namespace) do(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine, and runs nothing else
		done <- s.enter(f)
	}()
	return <-done
}

func (s *namespace) enter(f func() error) error {
	ns, err := os.Open("/run/netns/" + s.name)
	if err != nil {
		return err
	}
	err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
	if err = errors.Join(err, ns.Close()); err != nil {
		return fmt.Errorf("entering %s: %w", s.name, err)
	}
	return f()
}

// dial connects from the namespace, to a literal address without a look-up.
func (s *namespace) dial(ctx context.Context, network, addr string) (conn net.Conn, err error) {
	err = s.do(func() error {
		conn, err = (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, addr)
		return err
	})
	return conn, err
}

func (s *namespace) listen(ctx context.Context, addr string) (l net.Listener, err error) {
	err = s.do(func() error {
		l, err = (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
		return err
	})
	return l, err
}

func (s *namespace) start(cmd *exec.Cmd) error { return s.do(cmd.Start) }
