package daemon

import (
	"time"

	"highwater/guard"
	"highwater/internal/chain"
	"highwater/internal/rights"
)

// follow makes the follower of the rights of this instance's keys.
func (in *Instance) follow(reader *chain.Reader) *rights.Follower {
	return rights.New(rights.Config{Reader: reader, Log: in.log, Keys: func() (out []rights.Key) {
		for _, k := range in.Signer.Keys() {
			out = append(out, rights.Key{PKH: k.PKH, Kinds: k.Allow})
		}
		return out
	}})
}

// followedHeads tell the follower of rights of each head, too.
type followedHeads struct {
	guard.Heads
	rights *rights.Follower
}

// Saw keeps a head.
func (h followedHeads) Saw(level int32, at time.Time) {
	h.Heads.Saw(level, at)
	h.rights.Saw(level, at)
}
