package marks

import (
	"fmt"

	"highwater/hwm"
	"highwater/internal/checklist"
)

// Ceilings are ceilings at a level for all keys with a mark, and for all keys known here. A lower ceiling of an
// operator stays.
func (h Here) Ceilings(level int32) []hwm.CeilingChange {
	have, seen := h.Store.Ceilings(), map[hwm.CeilingKey]bool{}
	var out []hwm.CeilingChange
	add := func(key hwm.CeilingKey) {
		old, ok := have[key]
		if seen[key] || ok && old.Level <= level {
			return
		}
		seen[key] = true
		c := hwm.Ceiling{Level: level, At: h.Now(), Source: hwm.SourcePeer}
		out = append(out, hwm.CeilingChange{Key: key, Ceiling: &c})
	}
	if rows, err := h.Rows(); err == nil {
		for _, r := range rows {
			add(hwm.CeilingKey{Chain: r.Chain, PKH: r.PKH})
		}
	}
	for _, k := range h.Signer.Keys() {
		add(hwm.CeilingKey{Chain: h.Signer.Chain(), PKH: k.PKH})
	}
	return out
}

// GivenAway are the ceilings of a release by level.
func (h Here) GivenAway() (out []hwm.CeilingKey, level int32) {
	for key, c := range h.Store.Ceilings() {
		if key.Chain == h.Signer.Chain() && c.Source == hwm.SourcePeer {
			out = append(out, key)
			level = max(level, c.Level)
		}
	}
	return out, level
}

// SignsUpTo is the level up to which this side signs in an epoch that this side gave away by level; nil: no such epoch.
func (h Here) SignsUpTo(mine hwm.RoleRecord) *int32 {
	keys, level := h.GivenAway()
	if mine.Role != hwm.Active || mine.Owner == h.Store.Instance() || len(keys) == 0 {
		return nil
	}
	return &level
}

// Lifts lift the ceilings of a release by level.
func (h Here) Lifts() []hwm.CeilingChange {
	keys, _ := h.GivenAway()
	out := make([]hwm.CeilingChange, 0, len(keys))
	for _, k := range keys {
		out = append(out, hwm.CeilingChange{Key: k})
	}
	return out
}

// Operators tells of the ceilings of an operator: the right to sign does not lift such ceilings.
func (h Here) Operators() []checklist.Line {
	for _, k := range h.Signer.Keys() {
		c, ok := h.Store.Ceilings()[hwm.CeilingKey{Chain: h.Signer.Chain(), PKH: k.PKH}]
		if ok && c.Source != hwm.SourcePeer {
			return []checklist.Line{checklist.New(checklist.Ceilings, checklist.Warning,
				fmt.Sprintf("an operator's stands here: %s signs nothing above level %d", k.PKH, c.Level),
				"lift the ceiling, at a stopped instance, if nobody else signs above the level: highwater hwm ceiling --lift")}
		}
	}
	return nil
}
