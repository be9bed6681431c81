package glance

import (
	"fmt"
	"slices"

	"highwater/internal/tezos"
	"highwater/internal/words"
	"highwater/operate"
)

// Key is a key with its marks, as shown together.
type Key struct {
	PKH    tezos.PublicKeyHash
	Alias  string
	Health string // ready, or the fault; empty: not known
	Device string
	Marks  []operate.MarkRow
}

// keys puts the marks of a key together, in the order of the marks.
func keys(st operate.Status) []Key {
	type name struct {
		chain tezos.ChainID
		pkh   tezos.PublicKeyHash
	}
	at, keys := map[name]int{}, map[tezos.PublicKeyHash]operate.KeyRow{}
	for _, k := range st.Keys {
		keys[k.PKH] = k
	}
	var out []Key
	for _, m := range st.Marks {
		n := name{m.Chain, m.PKH}
		i, ok := at[n]
		if !ok {
			i, at[n] = len(out), len(out)
			k := keys[m.PKH]
			out = append(out, Key{PKH: m.PKH, Alias: words.ShortAlias(m.Alias), Health: k.Health, Device: k.Device})
		}
		out[i].Marks = append(out[i].Marks, m)
	}
	return out
}

// Ceiling tells whether a ceiling bounds the key.
func (k Key) Ceiling() bool {
	return slices.ContainsFunc(k.Marks, func(m operate.MarkRow) bool { return m.Ceiling != nil })
}

// Columns counts the columns after the kind.
func (k Key) Columns() int {
	if k.Ceiling() {
		return 4
	}
	return 3
}

// Horizons are the levels up to which the keys' signatures wait for no disk.
func (v View) Horizons() string {
	low, high := int32(0), int32(0)
	for _, m := range v.Marks {
		if m.Horizon == nil {
			continue
		}
		if low == 0 || *m.Horizon < low {
			low = *m.Horizon
		}
		high = max(high, *m.Horizon)
	}
	switch {
	case high == 0:
		return "none"
	case low == high:
		return fmt.Sprint(low)
	}
	return fmt.Sprintf("%d to %d", low, high)
}

// LevelsLeft is how far the horizon of the right is away.
func (v View) LevelsLeft() string {
	if v.Register == nil || v.Register.Head == nil || v.Register.Horizon == 0 {
		return ""
	}
	left := v.Register.Horizon - *v.Register.Head
	if left <= 0 {
		return "reached"
	}
	return fmt.Sprintf("%d levels left", left)
}
