package main

import (
	"context"
	"fmt"
	"time"
)

// scenario is a series of events in the life of a pair.
type scenario struct {
	name     string
	what     string
	interval time.Duration // between blocks
	measure  time.Duration // between two questions for the gap; zero: as usual
	measured bool          // measures times: nothing else runs beside the scenario
	alone    bool          // the two instances are no pair, and none is activated
	idle     bool          // the two are paired, and none is activated
	doubles  bool          // an operator lies: doubles are counted and bounded by the scenario itself
	skewed   bool          // the program has an adjustable clock
	blind    bool          // bakers without their node ask for nothing new; other bakers always ask
	disks    bool          // the states lie on disks of their own
	loose    bool          // a holds the keys in a Ledger that can be unplugged
	run      func(ctx context.Context, w *world) error
}

// fast is the time between blocks for scenarios about anything but time: levels pass quickly, and every level still
// gets many requests.
const fast = 250 * time.Millisecond

func scenarios() []scenario {
	return []scenario{
		{
			name: "planned", what: "handovers in both directions, requested on either side, one block a second",
			interval: time.Second, measure: 3 * time.Millisecond, measured: true, run: planned,
		},
		{
			name: "by-level", what: "handover by level, both ways, asked for on either side",
			interval: time.Second, run: byLevel,
		},
		{
			name: "offline", what: "the link is cut; the right to sign moves by a certificate on a stick, once",
			interval: time.Second, run: offline,
		},
		{
			name: "takeover-kill", what: "the signing machine is killed, the peer takes over, the killed machine comes back",
			interval: fast, run: takeoverAfterKill,
		},
		{
			name: "takeover-power", what: "a power cut of the signing machine, then of its peer",
			interval: fast, disks: true, run: takeoverAfterPowerOff,
		},
		{
			name: "takeover-devices", what: "the link is cut, the signing machine lives, and its devices are unplugged and " +
				"plugged in",
			interval: fast, loose: true, run: takeoverFromUnplugged,
		},
		{
			name: "takeover-healed", what: "the link is cut, the statement is false, the link comes back within the margin",
			interval: fast, run: takeoverHealed,
		},
		{
			name: "takeover-slow", what: "a takeover at the pace of the chain: three silent blocks of 6 s",
			interval: 6 * time.Second, run: takeoverInEarnest,
		},
		{
			name: "lie", what: "the link is cut, the statement is false to the end: the guard ends the overlap",
			interval: time.Second, doubles: true, run: lie,
		},
		{
			name: "lie-cut", what: "all links of the signing machine are cut, the statement is false, the links come back later",
			interval: 2 * fast, doubles: true, blind: true, run: lieCut,
		},
		{
			name: "lie-frozen", what: "the signing machine is frozen, the statement is false, the machine thaws later",
			interval: 2 * fast, doubles: true, run: lieFrozen,
		},
		{
			name: "comes-back", what: "process, machine and network of the signing side end, and come back after a takeover",
			interval: fast, disks: true, run: comesBack,
		},
		{
			name: "asymmetric", what: "all packets of a single direction are lost, before and during a handover",
			interval: fast, run: asymmetric,
		},
		{
			name: "both-activated", what: "both operators activate at once",
			interval: fast, idle: true, run: bothActivated,
		},
		{
			name: "both-started", what: "each side took over while its peer was down; both start at once, each with the " +
				"right to sign",
			interval: fast, run: bothOwners,
		},
		{
			name: "restored", what: "an old copy of a state directory is put back on one side",
			interval: fast, run: restored,
		},
		{
			name: "clocks", what: "the clocks of the two machines are hours apart",
			interval: fast, skewed: true, run: clocks,
		},
		{
			name: "messages", what: "handovers with each connection lost at each step, torn, late, repeated",
			interval: fast, run: messages,
		},
		{
			name: "crash-steps", what: "a handover, and either side killed at each step of each connection",
			interval: fast, run: crashSteps,
		},
		{
			name: "crash-writes", what: "a handover, and either side killed at each write to its disk",
			interval: fast, run: crashWrites,
		},
		{
			name: "disk-fails", what: "failing syncs, a full disk and a read-only disk, on the signing machine and on the " +
				"backup",
			interval: fast, run: diskFails,
		},
		{
			name: "random", what: "everything at random, with true statements",
			interval: fast / 2, disks: true, run: random,
		},
		{
			name: "control", what: "two instances with the same key, no pair, both activated: the judge must see double " +
				"signatures",
			interval: fast, alone: true, doubles: true, run: control,
		},
	}
}

// devices is the configuration of a machine's devices, and the number of their keys.
func (s scenario) devices(machine int) (text string, keys int) {
	switch {
	case !s.loose:
		return probeText + bakeryText, 3
	case machine == 0:
		return looseText, 2
	}
	return twinText, 2
}

// names is a line for each.
func names() string {
	out := ""
	for _, s := range scenarios() {
		out += fmt.Sprintf("%-16s %s\n", s.name, s.what)
	}
	return out
}
