package failover

import (
	"highwater/hwm"

	"highwater/failover/wire"
)

// harmless tells of an instance that answers whether it cannot come to sign by itself: it is fenced, or both agree that this one owns
// the epoch. Else a certificate for it may be under way, and take effect after a takeover here.
func (n *Node) harmless(a wire.Answer) bool {
	mine := n.store.Role()
	switch {
	case a.Role == hwm.Fenced:
		return true
	case a.Status == nil || a.Owner != n.Me() || mine.Owner != n.Me() || a.Epoch != mine.Epoch || a.Status.Seen > mine.Epoch:
		return false
	}
	return n.checkCopied(a.Status.Marks) == nil
}
