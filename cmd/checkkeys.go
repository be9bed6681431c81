package cmd

import (
	"fmt"

	"highwater/hwm"
	"highwater/internal/checklist"
	"highwater/internal/device"
	"highwater/operate"
	"highwater/signer"
)

// checkKeys is a line for each key that the devices cannot sign with. A device that is not ready has a line of its
// own already.
func checkKeys(st operate.Status) []checklist.Line {
	away := map[string]bool{}
	for _, d := range st.Devices {
		away[d.Name] = d.Health != device.Ready
	}
	var out []checklist.Line
	able := 0
	for _, k := range st.Keys {
		f := k.Unable()
		switch {
		case f == nil:
			able++
		case !away[f.Device]:
			out = append(out, keyFinding(k, *f))
		}
	}
	if len(out) == 0 && able > 0 {
		return []checklist.Line{checklist.Good(checklist.Keys, "%d of %d on a device that can sign with them", able, len(st.Keys))}
	}
	return out
}

func keyFinding(k operate.KeyRow, f signer.KeyFault) checklist.Line {
	out := checklist.New(checklist.Key, checklist.Bad, f.Text, f.Hint).Named("key " + k.PKH.String())
	if f.Note {
		out.Result = checklist.Warning
	}
	return out
}

// checkFenced adds what to do to the role of an instance that ended signing by itself.
func checkFenced(st operate.Status) checklist.Line {
	hint := "find out who signed with these keys; then, above all that was signed: highwater activate --level LEVEL"
	if st.Pair != nil && st.Pair.Peer != nil {
		hint = "find out who signed with these keys; then, on the machine that should sign: highwater takeover"
	}
	return checklist.New(checklist.Role, checklist.Bad, fmt.Sprintf("%s, epoch %d: it signs nothing: %s", hwm.Fenced, st.Role.Epoch, st.Role.Why), hint)
}

// warnKeys names the keys that cannot sign here, for a command that does its work all the same.
func (a *app) warnKeys(st operate.Status) {
	for _, f := range checkKeys(st) {
		if f.Result != checklist.OK {
			a.Note("warning: %s cannot sign here: %s\nhint: %s", f.Name, f.Detail, f.Hint)
		}
	}
}
