package failover

import (
	"fmt"

	"highwater/hwm"
	"highwater/internal/checklist"
)

// ceilings are ceilings at a level for all keys with a mark, and for all keys known here. A lower ceiling of an
// operator stays.
func (m marks) ceilings(level int32) []hwm.CeilingChange {
	have, seen := m.store.Ceilings(), map[hwm.CeilingKey]bool{}
	var out []hwm.CeilingChange
	add := func(key hwm.CeilingKey) {
		old, ok := have[key]
		if seen[key] || ok && old.Level <= level {
			return
		}
		seen[key] = true
		c := hwm.Ceiling{Level: level, At: m.now(), Source: hwm.SourcePeer}
		out = append(out, hwm.CeilingChange{Key: key, Ceiling: &c})
	}
	if rows, err := m.rows(); err == nil {
		for _, r := range rows {
			add(hwm.CeilingKey{Chain: r.Chain, PKH: r.PKH})
		}
	}
	for _, k := range m.signer.Keys() {
		add(hwm.CeilingKey{Chain: m.signer.Chain(), PKH: k.PKH})
	}
	return out
}

// givenAway are the ceilings of a release by level.
func (m marks) givenAway() (out []hwm.CeilingKey, level int32) {
	for key, c := range m.store.Ceilings() {
		if key.Chain == m.signer.Chain() && c.Source == hwm.SourcePeer {
			out = append(out, key)
			level = max(level, c.Level)
		}
	}
	return out, level
}

// signsUpTo is the level up to which this side signs in an epoch that this side gave away by level; nil: no such epoch.
func (m marks) signsUpTo(mine hwm.RoleRecord) *int32 {
	keys, level := m.givenAway()
	if mine.Role != hwm.Active || mine.Owner == m.store.Instance() || len(keys) == 0 {
		return nil
	}
	return &level
}

// lifts lift the ceilings of a release by level.
func (m marks) lifts() []hwm.CeilingChange {
	keys, _ := m.givenAway()
	out := make([]hwm.CeilingChange, 0, len(keys))
	for _, k := range keys {
		out = append(out, hwm.CeilingChange{Key: k})
	}
	return out
}

// operators tells of the ceilings of an operator: the right to sign does not lift such ceilings.
func (m marks) operators() []checklist.Line {
	for _, k := range m.signer.Keys() {
		c, ok := m.store.Ceilings()[hwm.CeilingKey{Chain: m.signer.Chain(), PKH: k.PKH}]
		if ok && c.Source != hwm.SourcePeer {
			return []checklist.Line{checklist.New(checklist.Ceilings, checklist.Warning,
				fmt.Sprintf("an operator's stands here: %s signs nothing above level %d", k.PKH, c.Level),
				"lift the ceiling, at a stopped instance, if nobody else signs above the level: highwater hwm ceiling --lift")}
		}
	}
	return nil
}
