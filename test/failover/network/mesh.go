package network

import (
	"context"
	"errors"
	"fmt"
)

// Mesh is the network of several machines, without a proxy. Each machine has an address, and a link of its own to each
// other machine. Each link can lose the packets of either direction.
type Mesh struct{ Machines []*Namespace }

// MeshAddress is the address of a machine of a mesh, from 0.
func MeshAddress(machine int) string { return fmt.Sprintf("10.79.0.%d", machine+1) }

// NewMesh makes and connects n machines. The names of the namespaces begin with prefix.
func NewMesh(ctx context.Context, prefix string, n int) (*Mesh, error) {
	m := &Mesh{}
	for i := range n {
		s := &Namespace{fmt.Sprintf("%s-%d", prefix, i)}
		m.Machines = append(m.Machines, s)
		if err := errors.Join(s.add(ctx), s.ip(ctx, fmt.Sprintf("addr add %s/32 dev lo", MeshAddress(i)))); err != nil {
			return m, err
		}
		for j := range i {
			if err := m.connect(ctx, i, j); err != nil {
				return m, err
			}
		}
	}
	return m, nil
}

// towards is the name of a link at its near end.
func towards(machine int) string { return fmt.Sprintf("to%d", machine) }

// endOf is the address of a link's end: the end of machine near, on the link to machine far.
func endOf(near, far int) string {
	return fmt.Sprintf("10.80.%d.%d", 16*min(near, far)+max(near, far), 1+min(1, max(0, near-far)))
}

func (m *Mesh) connect(ctx context.Context, i, j int) error {
	err := m.Machines[i].ip(ctx,
		fmt.Sprintf("link add %s type veth peer name %s netns %s", towards(j), towards(i), m.Machines[j].Name))
	return errors.Join(err, m.lead(ctx, i, j), m.lead(ctx, j, i))
}

// lead configures one end of a link, and the route over the link.
func (m *Mesh) lead(ctx context.Context, near, far int) error {
	return m.Machines[near].ip(ctx,
		fmt.Sprintf("addr add %s/30 dev %s", endOf(near, far), towards(far)),
		fmt.Sprintf("link set %s up", towards(far)),
		fmt.Sprintf("route add %s via %s dev %s src %s",
			MeshAddress(far), endOf(far, near), towards(far), MeshAddress(near)))
}

// Lose loses all packets from a machine to another machine. No sender learns of the loss.
func (m *Mesh) Lose(ctx context.Context, from, to int) error {
	return m.Machines[from].astray(ctx, endOf(to, from), towards(to))
}

// Mend ends the effect of Lose.
func (m *Mesh) Mend(ctx context.Context, from, to int) error {
	return m.Machines[from].found(ctx, towards(to))
}

// Close frees the names. Running processes keep their network until their end.
func (m *Mesh) Close(ctx context.Context) error { return free(ctx, m.Machines...) }
