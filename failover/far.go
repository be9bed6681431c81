package failover

import (
	"fmt"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/hints"
	"highwater/signer"
)

// believed leaves out the marks of the other side that are further ahead than anything on our chain can be: they move none here, and
// nothing was signed for our chain at them. It says so. A mark that is here already is no news, whatever its level.
func (n *Node) believed(marks []wire.Mark) ([]wire.Mark, error) {
	out := make([]wire.Mark, 0, len(marks))
	for _, m := range marks {
		err := n.tooFar(m)
		if err != nil && !signer.Refused(err) {
			return nil, err
		}
		if err == nil {
			out = append(out, m)
			continue
		}
		n.signer.RaiseOtherChain("the other instance", m.PKH, "the other instance: "+err.Error()+
			". Its mark is not taken: did a device there sign for another chain?", "look at its marks there: highwater hwm list. "+hints.Of(err))
	}
	return out, nil
}

// tooFar is a refusal when a mark of the other side would raise one here too far, and any other error when that cannot be told.
func (n *Node) tooFar(m wire.Mark) error {
	key := hwm.Key{Chain: n.signer.Chain(), PKH: m.PKH, Kind: m.Kind}
	want := hwm.Position{Level: m.Level, Round: m.Round}
	st, err := n.store.State(key)
	if err != nil || st.Mark != nil && st.Mark.Compare(want) >= 0 {
		return err
	}
	limit, err := n.signer.Limit(m.PKH)
	if err == nil && !limit.Known() { // a key that has no mark here
		limit, err = n.signer.LimitOfAll()
	}
	if err != nil {
		return err
	}
	return limit.Check(key, want)
}

// checkFar refuses a certificate that would move a mark too far. None of it is taken: the marks in it are final, and one that is not
// believed would hide what was signed below.
func (n *Node) checkFar(c *wire.Certificate) error {
	marks := c.Marks
	if c.Level != nil {
		limit, err := n.signer.LimitOfAll()
		if err != nil {
			return err
		}
		if !limit.Allows(*c.Level) {
			return wire.Refuse(wire.TooFar, "make another one at a level that is near: highwater release --at LEVEL --out FILE",
				"the certificate is for level %d, which is %s", *c.Level, limit.Distance(*c.Level))
		}
	}
	for _, m := range marks {
		if err := n.tooFar(m); signer.Refused(err) {
			return wire.Refuse(wire.TooFar, "the key signs nothing there either. Look at the marks there: highwater hwm list. If the level is right: highwater hwm set "+
				m.PKH.String()+fmt.Sprintf(" --level %d --far, here; else, the other instance being stopped: highwater takeover", m.Level), "the certificate: %v", err)
		} else if err != nil {
			return err
		}
	}
	return nil
}
