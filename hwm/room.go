package hwm

import "highwater/internal/tezos"

// Room is the highest level to which a device's own mark may be raised, to (level, round 0), without the device
// refusing any request that Decide still lets through: the mark's level, or a level less where the mark itself can
// still be resumed at round 0. An interrupted request is asked again for the same bytes, and a device already at the
// request's place would refuse for good. False without a mark, and where no such level exists.
func Room(have State, curve tezos.Curve) (level int32, ok bool) {
	if have.Mark == nil {
		return 0, false
	}
	have.Ceiling = nil // a ceiling may be lifted
	mark := *have.Mark
	again := Decide(have, curve, tezos.Request{Level: mark.Level, Round: mark.Round, Digest: mark.Digest})
	if again.Verdict == Resume && mark.Round == 0 {
		return mark.Level - 1, mark.Level > 0
	}
	return mark.Level, true
}
