package hwm

import "highwater/internal/tezos"

// Room is the highest level to which a device's own mark may be raised, to (level, round 0), without the device refusing anything
// that Decide still lets through to it. That is the mark's level; one less where the mark itself can still be resumed at round 0: a
// request that was interrupted is asked again for the same bytes, and a device that is already at its place would refuse it for good.
// False without a mark, and where there is no such level.
func Room(have State, curve tezos.Curve) (level int32, ok bool) {
	if have.Mark == nil {
		return 0, false
	}
	have.Ceiling = nil // it may be lifted
	mark := *have.Mark
	again := Decide(have, curve, tezos.Request{Level: mark.Level, Round: mark.Round, Digest: mark.Digest})
	if again.Verdict == Resume && mark.Round == 0 {
		return mark.Level - 1, mark.Level > 0
	}
	return mark.Level, true
}
