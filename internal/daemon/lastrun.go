package daemon

import (
	"bytes"
	"cmp"
	"log/slog"
	"slices"
	"strings"

	"highwater/hwm"
	"highwater/operate"
	"highwater/store"
)

// lastRun is how the run before ended, for people and programs.
func lastRun(e store.Ending) *operate.LastRun {
	out := &operate.LastRun{Ended: e.How, Why: e.Why, Floors: []operate.HorizonFloor{}}
	for key, level := range e.Floors {
		out.Floors = append(out.Floors, operate.HorizonFloor{Chain: key.Chain, PKH: key.PKH, Level: level})
	}
	slices.SortFunc(out.Floors, func(a, b operate.HorizonFloor) int {
		return cmp.Or(bytes.Compare(a.Chain[:], b.Chain[:]), strings.Compare(a.PKH.String(), b.PKH.String()))
	})
	return out
}

// sayLastRun logs the end of the last run, and the level from which each key signs again.
func sayLastRun(log *slog.Logger, last *operate.LastRun, rows []hwm.Row) {
	log.Info("last run", "ended", last.Ended, "text", last.Line())
	floors := map[hwm.CeilingKey]bool{}
	for _, f := range last.Floors {
		floors[hwm.CeilingKey{Chain: f.Chain, PKH: f.PKH}] = true
	}
	var order []hwm.CeilingKey
	highest := map[hwm.CeilingKey]hwm.Mark{}
	for _, r := range rows {
		key := hwm.CeilingKey{Chain: r.Chain, PKH: r.PKH}
		have, known := highest[key]
		if !known {
			order = append(order, key)
		}
		if !known || r.Above(have) {
			highest[key] = r.Mark
		}
	}
	for _, key := range order {
		from := int64(highest[key].Level)
		if highest[key].Round == hwm.MaxRound {
			from++
		}
		log.Info("signs again", "pkh", key.PKH.String(), "chain", key.Chain.String(), "from_level", from, "horizon",
			floors[key])
	}
}
