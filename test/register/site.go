package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"highwater/test/failover/network"
	"highwater/test/harness"
)

// operator is the operator's number beside the machines: a place with a link to each machine.
const operator = machines

// The ports of a machine with a network of its own.
const (
	clientPort = "2379"
	peerPort   = "2380"
	nodePort   = "8732"
	firstPort  = 10_000 // of the other servers of a world
)

// site is the place of a machine: a network namespace of its own; nil: the network of this process.
type site struct{ ns *network.Namespace }

func (s site) host() harness.Host {
	if s.ns == nil {
		return harness.Host{}
	}
	return harness.Host{Dial: s.ns.Dial, Start: s.ns.Start}
}

func (s site) dial(ctx context.Context, address string) (net.Conn, error) {
	if s.ns == nil {
		return (&net.Dialer{}).DialContext(ctx, "tcp", address)
	}
	return s.ns.Dial(ctx, "tcp", address)
}

func (s site) listen(ctx context.Context, address string) (net.Listener, error) {
	if s.ns == nil {
		return (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	}
	return s.ns.Listen(ctx, address)
}

// site is the place of a machine, or of the operator.
func (w *world) site(i int) site {
	if w.net == nil {
		return site{}
	}
	return site{w.net.Machines[i]}
}

// address gives the address of a new server: the machine's own loopback, or a port of this process's network.
func (w *world) address(ctx context.Context) (string, error) {
	if w.net == nil {
		return harness.FreeAddress(ctx)
	}
	w.ports++
	return fmt.Sprintf("127.0.0.2:%d", firstPort+w.ports), nil
}

// memberAddress is the address of a member for clients or for the other members, by its port in a namespace.
func (w *world) memberAddress(ctx context.Context, i int, port string) (string, error) {
	if w.net == nil {
		return harness.FreeAddress(ctx)
	}
	return net.JoinHostPort(network.MeshAddress(i), port), nil
}

// lose loses everything that a machine sends to another machine: each packet. Without namespaces, proxies lose the
// questions of a machine to the other machine's member, and the answers of the machine's own member.
func (w *world) lose(ctx context.Context, from, to *machine) error {
	if w.net != nil {
		return errors.Join(w.net.Lose(ctx, from.index, to.index), w.hangs(ctx, from, to))
	}
	from.links[to.index].set(cut)
	to.links[from.index].set(answer)
	return nil
}

// silence is how long a connection may take without a loss.
const silence = 100 * time.Millisecond

// hangs wants a connection from a machine to another machine to get no answer, not even a refusal.
func (w *world) hangs(ctx context.Context, from, to *machine) error {
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	conn, err := w.site(from.index).dial(ctx, w.clients[to.index])
	if err == nil {
		err = errors.Join(errors.New("the connection was made"), conn.Close())
	} else if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		return nil
	}
	return fmt.Errorf("the link from machine %d to machine %d loses nothing: %w", from.index, to.index, err)
}

// part loses both directions between two machines.
func (w *world) part(ctx context.Context, a, b *machine) error {
	return errors.Join(w.lose(ctx, a, b), w.lose(ctx, b, a))
}

// own treats the machine's link to its own member like the lost links, without namespaces: the proxies do not part the
// member from the others.
func (w *world) own(m *machine, like way) {
	if w.net == nil {
		m.links[m.index].set(like)
	}
}

// isolate parts a machine from all others.
func (w *world) isolate(ctx context.Context, m *machine) error {
	w.own(m, cut)
	return w.each(m, func(o *machine) error { return w.part(ctx, m, o) })
}

// each does something with each other machine.
func (w *world) each(m *machine, do func(o *machine) error) error {
	var errs []error
	for _, o := range w.machines {
		if o != m {
			errs = append(errs, do(o))
		}
	}
	return errors.Join(errs...)
}

// join ends all losses between two machines.
func (w *world) join(ctx context.Context, a, b *machine) error {
	if w.net != nil {
		return errors.Join(w.net.Mend(ctx, a.index, b.index), w.net.Mend(ctx, b.index, a.index))
	}
	a.links[b.index].set(open)
	b.links[a.index].set(open)
	return nil
}

// joinAll ends all losses.
func (w *world) joinAll(ctx context.Context) error {
	var errs []error
	for i, m := range w.machines {
		for _, o := range w.machines[:i] {
			errs = append(errs, w.join(ctx, m, o))
		}
		for _, l := range m.links {
			l.set(open)
		}
	}
	return errors.Join(errs...)
}
