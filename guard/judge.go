package guard

import (
	"slices"

	"highwater/hwm"
)

// The reasons why a sighting is not ours.
const (
	whyAbove    = "above everything that this instance ever signed with the key"
	whyAbsent   = "the instance was active and signed nothing there"
	whyConflict = "the instance signed different bytes at the place: a double signature"
)

// judge tells why a sighting cannot be ours; empty when the sighting is ours, or may be.
//
//	a key without a mark here                        not in service here: the key cannot sign, let alone twice
//	above our ceiling                                given to another instance
//	different bytes at a place whose bytes we know   conflict
//	above our mark                                   foreign: a mark moves before a signature leaves
//	above every earlier signature, not remembered    foreign: the memory has all later signatures
//	else                                             ours, or from before our time
func (g *Guard) judge(s Sighting, state hwm.State) string {
	if state.Mark == nil || state.Ceiling != nil && s.Place.Level > state.Ceiling.Level {
		return ""
	}
	key := hwm.Key{Chain: g.cfg.Chain, PKH: s.Key, Kind: s.Kind}
	digests, complete := g.cfg.Memory.recall(key, s.Place)
	mark := state.Mark
	if mark.HasDigest && mark.Source == hwm.SourceSigned && mark.Position == s.Place {
		digests = append(digests, mark.Digest) // from before this process, maybe
	}
	if len(digests) > 0 {
		if g.same(s, digests) {
			return ""
		}
		return whyConflict
	}
	if s.Place.Compare(mark.Position) > 0 {
		return whyAbove
	}
	base, ok := g.base[key]
	if ok && complete && s.Place.Compare(base) > 0 {
		return whyAbsent
	}
	return ""
}

// same tells whether the bytes on chain are among our signed bytes. For some forms the signature does not prove that
// we built the bytes as signed (aggregates, DAL with a companion key, a protocol with another layout): a difference
// counts only once our own bytes were recognised in the form. A change of encoding must not stop a good baker.
func (g *Guard) same(s Sighting, digests [][32]byte) bool {
	if slices.Contains(digests, s.digest) {
		if !slices.Contains(g.trusted, s.form) && len(g.trusted) < trustedKept {
			g.trusted = append(g.trusted, s.form)
		}
		return true
	}
	return !s.proven && !slices.Contains(g.trusted, s.form)
}
