package failover

import (
	"context"
	"fmt"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/checklist"
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
		return wire.Refuse(wire.IsFenced, "find out who signed; then: highwater standby, and hand over again", "this instance is fenced: %s", mine.Why)
	case c.Epoch <= mine.Epoch:
		return wire.Refuse(wire.OldAnswer, "a certificate is good for one activation", "the certificate is for epoch %d, and epoch %d is known here",
			c.Epoch, mine.Epoch)
	}
	if err := n.checkFar(c); err != nil {
		return err
	}
	if c.Nonce == "" {
		if err := n.checkOffline(c, head); err != nil {
			return err
		}
	} else if _, fresh := n.spend(c.Nonce, wire.Release); !fresh {
		return wire.Refuse(wire.OldAnswer, "ask again: highwater handover", "the certificate does not answer a question of this process")
	}
	floors := n.floors(c.Marks)
	why := "handed over by " + c.From.Short()
	if c.Level != nil {
		floors = append(n.signer.Floors(*c.Level, hwm.SourcePeer), floors...)
		floors = append(floors, n.levelFloors(c)...)
		why += fmt.Sprintf(" from level %d on", *c.Level+1)
	}
	next := hwm.RoleRecord{Role: hwm.Active, Epoch: c.Epoch, Owner: n.Me(), Why: why}
	_, err := n.signer.Become(ctx, next, floors, n.lifts()...)
	return err
}

func (n *Node) checkCertificate(c *wire.Certificate) error {
	if c.To != n.Me() {
		return wire.Refuse(wire.WrongKey, "it belongs on the other machine", "the certificate is for the instance %s, this one is %s", c.To.Short(), n.Me().Short())
	}
	if _, err := n.check(wire.Hello{Protocol: c.Protocol, Chain: c.Chain, From: c.From, Epoch: c.Epoch}); err != nil {
		return err
	}
	return c.Verify()
}

// levelFloors raise the keys that only the certificate names.
func (n *Node) levelFloors(c *wire.Certificate) []hwm.Row {
	rows := make([]hwm.Row, 0, len(c.Marks))
	for _, m := range c.Marks {
		rows = append(rows, hwm.Row{
			Key:  hwm.Key{Chain: c.Chain, PKH: m.PKH, Kind: m.Kind},
			Mark: hwm.Floor(*c.Level, n.now(), hwm.SourcePeer),
		})
	}
	return rows
}

func (n *Node) checkOffline(c *wire.Certificate, head *int32) error {
	switch {
	case c.Level == nil:
		return wire.Refuse(wire.OldAnswer, "highwater release --at LEVEL --out FILE", "a certificate in a file must have a cut-over level")
	case head == nil:
		return wire.Refuse(wire.NotReady, "set `node` in the configuration, or say where the chain is: --head LEVEL",
			"nobody says where the chain is, so it cannot be told whether the certificate is still good")
	case int64(*c.Level) > int64(*head)+hwm.FarLevels:
		return wire.Refuse(wire.TooFar, "look at the head again, and at the level of the certificate", "the certificate is for level %d, and the chain is at %d", *c.Level, *head)
	case int64(*head) > int64(*c.Level)+wire.MaxPast:
		return wire.Refuse(wire.OldAnswer, "highwater handover takes its place; without a link, with the process there stopped: highwater takeover",
			"the certificate is for level %d, and the chain is at %d: more than %d levels past", *c.Level, *head, wire.MaxPast)
	}
	if f := n.certifiedKeys(c); f.Result == checklist.Bad {
		return wire.Refuse(wire.NotReady, f.Hint, "%s: %s", f.Name, f.Detail)
	}
	return nil
}

// floors are the other side's marks as floors of ours: a mark without its payload.
func (n *Node) floors(marks []wire.Mark) []hwm.Row {
	rows := make([]hwm.Row, 0, len(marks))
	for _, m := range marks {
		rows = append(rows, hwm.Row{
			Key:  hwm.Key{Chain: n.signer.Chain(), PKH: m.PKH, Kind: m.Kind},
			Mark: hwm.Mark{Position: hwm.Position{Level: m.Level, Round: m.Round}, At: n.now(), Source: hwm.SourcePeer},
		})
	}
	return rows
}

// Accept takes the right to sign from a certificate in a file. head is where the chain is, when no node is configured to say it.
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
