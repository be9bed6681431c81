package guard

import (
	"context"
	"log/slog"
	"time"

	"highwater/hwm"
	"highwater/internal/chain"
	"highwater/internal/node"
	"highwater/internal/tezos"
	"highwater/signer"
)

// Protocol is the role of an instance and the way to end the role; failover.Node has both.
type Protocol interface {
	// Watched is the role; Active means that the instance signs now.
	Watched() hwm.RoleRecord
	// TakeoverMargin is the margin of the takeover that made this epoch; zero: not known.
	TakeoverMargin() int32
	// Fence ends signing if the instance still signs in this epoch, and tells whether signing was ended.
	Fence(epoch uint64, why string) (fenced bool, err error)
}

// Heads is told each head of the chain, and does not wait; heard.Heads is one.
type Heads interface {
	Saw(level int32, at time.Time)
}

// Store is the part of a store that a guard reads.
type Store interface {
	Marks
	Role() hwm.RoleRecord
	Instance() hwm.InstanceID
}

// Instance is everything that a guard watches over, and reads from.
type Instance struct {
	Signer   *signer.Signer
	Store    Store
	Protocol Protocol
	Heads    Heads
	Reader   *chain.Reader
	Memory   *Memory      // has heard every outcome of the signer since the start of the process
	Log      *slog.Logger // may be nil
}

// For makes the guard of an instance. The caller pokes the guard at each change of role.
func For(in Instance) *Guard {
	if in.Log == nil {
		in.Log = slog.New(slog.DiscardHandler)
	}
	return New(Config{
		Reader: in.Reader, Chain: in.Signer.Chain(), Keys: in.keys, Marks: in.Store, Memory: in.Memory,
		Role:   in.Protocol.Watched,
		Margin: in.Protocol.TakeoverMargin, Alarm: in.alarm, Log: in.Log,
		Head: func(h node.Header) { in.Heads.Saw(h.Level, h.Timestamp) },
	})
}

func (in Instance) keys() []Key {
	infos := in.Signer.Keys()
	keys := make([]Key, 0, len(infos))
	for _, k := range infos {
		keys = append(keys, Key{PKH: k.PKH, Public: k.PublicKey, Kinds: k.Allow})
	}
	return keys
}

// alarm fences first, and raises an alarm after the fence. At last alarm asks the chain whether an old state directory
// explains the finding.
func (in Instance) alarm(ctx context.Context, f Finding) {
	if f.Doubtful {
		in.raise(signer.AlarmUnproven, f.Key, f.String()+"; but the signature does not verify", hintUnproven)
		return
	}
	hint := hintSighted
	switch fenced, err := in.Protocol.Fence(f.Epoch, f.String()); {
	case err != nil: // the gate is closed all the same, until a restart
		in.Log.Error("the fence is not durable", "error", err.Error())
		hint = "the fence could not be written down: do not restart the instance before the disk is well; " + hint
	case !fenced:
		hint = "the instance stopped signing before the finding; " + hint
	}
	in.raise(signer.AlarmTwin, f.Key, f.String(), hint)
	if f.Fresh || in.Store.Role().Owner != in.Store.Instance() {
		return // no old copy explains the finding; or the peer's signatures are on chain too
	}
	if err := in.Signer.Consult(ctx, in.Reader); err != nil && ctx.Err() == nil {
		in.Log.Warn("the chain was not searched for the age of the marks", "error", err.Error())
	}
}

func (in Instance) raise(name signer.AlarmName, key tezos.PublicKeyHash, text, hint string) {
	in.Signer.RaiseAlarm(name, "chain", key.String(), text, hint)
}

const hintSighted = "find the second signer of the key, and stop the signer; or the marks here were too low: " +
	"restored from a copy, set too low, or taken over before the former signer ended. Afterwards, above every " +
	"signature: of a pair highwater takeover, alone highwater activate --level head+10"

const hintUnproven = "the instance signs on. Look for the block on another node or an explorer. A block with the " +
	"operation means that a second signer may have the key: highwater standby, and find the signer. A block without " +
	"the operation means: do not use the node. After a new protocol, look for a new version of Highwater"
