package doctor

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"highwater/hwm"
	"highwater/internal/checklist"
	"highwater/internal/config"
	"highwater/internal/device"
	"highwater/internal/hints"
	"highwater/internal/words"
	"highwater/operate"
	"highwater/store"
)

// Instance judges the status of the instance: watermark file, role, guard, devices, keys, alarms and marks.
func Instance(cfg *config.Config, st operate.Status) []checklist.Line {
	out := []checklist.Line{checkStore(cfg, st), checkRole(st), checkGuard(cfg, st)}
	out = append(append(out, checkPeerClock(st)...), certificateFaults(st)...)
	for _, d := range st.Devices {
		out = append(out, Device(d))
	}
	out = append(append(out, checkQueues(cfg, st)...), Keys(st)...)
	for _, m := range st.Alarms {
		out = append(out, checklist.New(checklist.Alarm, checklist.Warning, m.Text, m.Hint).Named("alarm "+string(m.Name)))
	}
	if st.Store == operate.StoreOK { // else the daemon tells no marks
		out = append(out, checkMarks(st))
	}
	return append(out, checkLevels(st)...)
}

// checkStore judges the watermark file. A daemon after a failed commit signs nothing, and tells no marks.
func checkStore(cfg *config.Config, st operate.Status) checklist.Line {
	path := filepath.Join(cfg.StateDir, store.FileName)
	if st.Store != operate.StoreOK {
		return checklist.New(checklist.WatermarkFile, checklist.Bad, path+": "+st.Store,
			"docs/recovery.md#a-disk-died has the steps")
	}
	return checklist.Good(checklist.WatermarkFile, "%s, %s", path, words.Count(len(st.Marks)-MissingMarks(st), "mark"))
}

// checkLevels names the keys that would refuse the level after the head.
func checkLevels(st operate.Status) []checklist.Line {
	out := make([]checklist.Line, 0, len(st.Ahead))
	for _, a := range st.Ahead {
		f := checklist.New(checklist.Levels, checklist.Warning, a.Text, "")
		if a.Far {
			f.Result = checklist.Bad
		}
		out = append(out, f)
	}
	return out
}

// Device judges one device: whether the device can sign now, and its notes.
func Device(d operate.DeviceRow) checklist.Line {
	f := checklist.Good(checklist.Device, "%s, %s %s, %s", d.Health, d.Model, d.App, words.Count(d.Keys, "key")).Named(
		"device " + d.Name)
	switch {
	case d.Health != device.Ready:
		f.Result, f.Detail, f.Hint = checklist.Bad, string(d.Health), d.Advice
		if d.Detail != "" {
			f.Detail += ": " + d.Detail
		}
	case d.Alarm != "":
		f.Result, f.Detail, f.Hint = checklist.Warning, strings.Join(d.Remarks(), "; "),
			"find out why before you trust the device's own mark"
	case d.Note() != "":
		f.Detail += ": " + d.Note() // the setting is off: a device mark is behind after each power cut, and harmless
	}
	return f
}

// checkRole shows the role, and the gaps on the way to signing.
func checkRole(st operate.Status) checklist.Line {
	f := checklist.Good(checklist.Role, "%s, epoch %d", st.Role.Role, st.Role.Epoch)
	switch {
	case st.Role.Role == hwm.Fenced:
		return checkFenced(st)
	case st.Role.Role != hwm.Active:
		f.Detail += ": signs nothing"
	case !st.Running:
		f.Detail += ": signs as soon as highwater serve runs"
	}
	return f
}

// checkGuard tells whether the guard looks for foreign signatures of our keys, and the needs of the guard.
func checkGuard(cfg *config.Config, st operate.Status) checklist.Line {
	const what = "this instance fences itself when the chain shows a foreign signature of its keys"
	paired := st.Pair != nil && st.Pair.Peer != nil
	switch {
	case cfg.Node == "" && paired:
		return checklist.New(checklist.Guard, checklist.Warning, "off, and the instance has a peer: with a node "+what,
			"set node = \"http://…\" (your octez node) in "+cfg.Path+", and restart")
	case cfg.Node == "":
		return checklist.Good(checklist.Guard, "off; with node = \"http://…\" (your octez node) %s", what)
	case !st.Running:
		return checklist.Good(checklist.Guard, "on as soon as highwater serve runs, with the node at %s", cfg.Node)
	case st.Guard.State == operate.GuardOff:
		return checklist.New(checklist.Guard, checklist.Warning, "off: the daemon was started before a node was configured",
			"restart the daemon")
	case st.Guard.State == operate.GuardBlind:
		return checklist.New(checklist.Guard, checklist.Warning, st.Guard.Line(), st.Guard.Hint)
	}
	return checklist.Good(checklist.Guard, "on, %s", st.Guard.Line())
}

// RaiseCommand is a command to give all keys marks above the chain. An instance that does not sign yet gets the right
// in the same command.
func RaiseCommand(st operate.Status) string {
	command := "highwater activate --level"
	if st.Role.Role == hwm.Active {
		command = "highwater hwm set --all --level"
	}
	return hints.Level(command, highest(st))
}

// highest is the highest level of a mark, 0 without marks.
func highest(st operate.Status) int64 {
	out := int64(0)
	for _, m := range st.Marks {
		if m.Level != nil && m.Chain.String() == st.Chain {
			out = max(out, int64(*m.Level))
		}
	}
	return out
}

// MissingMarks is how many keys and kinds have no watermark.
func MissingMarks(st operate.Status) int {
	missing := 0
	for _, m := range st.Marks {
		if m.Level == nil {
			missing++
		}
	}
	return missing
}

func checkMarks(st operate.Status) checklist.Line {
	switch missing := MissingMarks(st); {
	case len(st.Marks) == 0:
		return checklist.New(checklist.Watermarks, checklist.Warning, "no key is known yet: nothing could be signed",
			"connect a device with a key: highwater keys list")
	case missing > 0:
		f := checklist.New(checklist.Watermarks, checklist.Warning,
			words.Count(missing, "mark")+" missing: keys without a mark do not sign",
			"above all levels that the keys ever signed (docs/migrate.md): "+RaiseCommand(st))
		if i := slices.IndexFunc(st.Marks, func(m operate.MarkRow) bool { return m.Chain.String() != st.Chain }); i >= 0 {
			f.Detail += fmt.Sprintf("; the file has marks for chain %s, and `chain` is %s", st.Marks[i].Chain, st.Chain)
		}
		return f
	}
	return checklist.Good(checklist.Watermarks, "every key has its marks")
}

// checkFenced explains the way out of the role fenced.
func checkFenced(st operate.Status) checklist.Line {
	hint := "find the second signer of these keys; then, above all signed levels: " +
		hints.Level("highwater activate --level", highest(st))
	if st.Pair != nil && st.Pair.Peer != nil {
		hint = "find the second signer of these keys; then, on the machine that should sign: highwater takeover"
	}
	return checklist.New(checklist.Role, checklist.Bad,
		fmt.Sprintf("%s, epoch %d: signs nothing: %s", hwm.Fenced, st.Role.Epoch, st.Role.Why), hint)
}
