package failover

import (
	"context"
	"fmt"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/checklist"
	"highwater/internal/hints"
	"highwater/signer"
)

// onCertificate takes the right to sign (rules 5, 6, 10 and 11).
func (n *Node) onCertificate(ctx context.Context, c *wire.Certificate, head *int32) error {
	ctx = context.WithoutCancel(ctx)
	n.begin()
	defer n.end()
	if err := n.checkCertificate(c); err != nil {
		return err
	}
	mine := n.store.Role()
	switch {
	case mine.Role == hwm.Fenced:
		return wire.Refuse(wire.IsFenced,
			"find the second signer of the keys; afterwards: highwater standby, and hand over again",
			"this instance is fenced: %s", mine.Why)
	case c.Epoch <= mine.Epoch:
		return wire.Refuse(wire.OldAnswer, "a certificate is good for one activation",
			"the certificate is for epoch %d, and epoch %d is known here", c.Epoch, mine.Epoch)
	}
	if err := n.checkFar(c); err != nil {
		return err
	}
	if c.Nonce == "" {
		if err := n.checkOffline(c, head); err != nil {
			return err
		}
	} else if _, fresh := n.questions.Spend(c.Nonce, wire.Release); !fresh {
		return wire.Refuse(wire.OldAnswer, "ask again: highwater handover",
			"the certificate does not answer a question of this process")
	}
	floors := n.marks.Floors(c.Marks)
	why := "handed over by " + c.From.Short()
	if c.Level != nil {
		floors = append(n.signer.Floors(*c.Level, hwm.SourcePeer), floors...)
		floors = append(floors, n.marks.LevelFloors(c)...)
		why += fmt.Sprintf(" from level %d on", *c.Level+1)
	}
	next := hwm.RoleRecord{Role: hwm.Active, Epoch: c.Epoch, Owner: n.Me(), Why: why}
	if _, err := n.signer.Become(ctx, next, floors, n.marks.Lifts()...); err != nil {
		return err
	}
	if n.accepted != nil {
		n.accepted(c)
	}
	return nil
}

func (n *Node) checkCertificate(c *wire.Certificate) error {
	if c.To != n.Me() {
		return wire.Refuse(wire.WrongKey, "the certificate belongs on the peer's machine",
			"the certificate is for the instance %s, and this instance is %s", c.To.Short(), n.Me().Short())
	}
	if _, err := n.check(wire.Hello{Protocol: c.Protocol, Chain: c.Chain, From: c.From, Epoch: c.Epoch}); err != nil {
		return err
	}
	return c.Verify()
}

func (n *Node) checkOffline(c *wire.Certificate, head *int32) error {
	switch {
	case c.Level == nil:
		return wire.Refuse(wire.OldAnswer, "on the peer's machine: "+hints.Level(wire.ReleaseCommand, 0),
			"a certificate in a file must have a cut-over level")
	case head == nil:
		return wire.Refuse(wire.NotReady, wire.StateHead,
			"without a head of the chain nobody can tell whether the certificate is still good")
	case int64(*c.Level) > int64(*head)+hwm.FarLevels:
		return wire.Refuse(wire.TooFar, "look at the head again, and at the level of the certificate",
			"the certificate is for level %d, and the chain is at %d", *c.Level, *head)
	case int64(*head) > int64(*c.Level)+wire.MaxPast:
		return wire.Refuse(wire.OldAnswer,
			"highwater handover takes the place of the certificate; without a link, with the peer's process stopped: "+
				"highwater takeover",
			"the certificate is for level %d, and the chain is at %d: more than %d levels past", *c.Level, *head, wire.MaxPast)
	}
	if f := n.keys.Certified(c); f.Result == checklist.Bad {
		return wire.Refuse(wire.NotReady, f.Hint, "%s: %s", f.Name, f.Detail)
	}
	return nil
}

// checkFar refuses a certificate that would move a mark too far. Nothing of the certificate is taken: its marks are
// final, and a disbelieved mark would hide the signatures below the mark.
func (n *Node) checkFar(c *wire.Certificate) error {
	if c.Level != nil {
		limit, err := n.signer.LimitOfAll()
		if err != nil {
			return err
		}
		if !limit.Allows(*c.Level) {
			return wire.Refuse(wire.TooFar,
				"make a new certificate at a level that is near: "+hints.Level(wire.ReleaseCommand, limit.Reached()),
				"the certificate's level %d is %s", *c.Level, limit.Distance(*c.Level))
		}
	}
	for _, m := range c.Marks {
		if err := n.marks.TooFar(m); signer.Refused(err) {
			return wire.Refuse(wire.TooFar, "the key signs nothing on the peer's machine either. Look at the marks "+
				"on that machine: highwater hwm list. "+
				"If the level is right: highwater hwm set "+m.PKH.String()+fmt.Sprintf(" --level %d --far, here; "+
				"else, with the peer stopped: "+
				"highwater takeover", m.Level), "the certificate: %v", err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// Accept takes the right to sign from a certificate in a file. head is the head of the chain, for an instance without a
// node.
func (n *Node) Accept(ctx context.Context, c *wire.Certificate, head *int32) (hwm.RoleRecord, error) {
	if err := c.ForFile(); err != nil {
		return hwm.RoleRecord{}, err
	}
	if n.heads.Chain != nil {
		f, h := n.heads.Check(ctx)
		if f.Result != checklist.OK {
			return hwm.RoleRecord{}, wire.Refuse(wire.NotReady, f.Hint, "node: %s", f.Detail)
		}
		head = &h.Level
	}
	if err := n.onCertificate(ctx, c, head); err != nil {
		return hwm.RoleRecord{}, err
	}
	n.Poke()
	return n.store.Role(), nil
}
