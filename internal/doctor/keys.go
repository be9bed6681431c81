package doctor

import (
	"highwater/internal/checklist"
	"highwater/internal/device"
	"highwater/operate"
	"highwater/signer"
)

// Keys is a line for each key that the devices cannot sign with. The line of a device covers the keys of a device that
// is not ready.
func Keys(st operate.Status) []checklist.Line {
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
			out = append(out, UnableKey(k, *f))
		}
	}
	if len(out) == 0 && able > 0 {
		out = []checklist.Line{checklist.Good(
			checklist.Keys, "%d of %d on a device that can sign with them", able, len(st.Keys))}
	}
	for _, k := range st.Keys {
		for _, f := range k.NoSpares {
			out = append(out, UnableKey(k, f))
		}
	}
	return out
}

// UnableKey is the line of a key that cannot sign now.
func UnableKey(k operate.KeyRow, f signer.KeyFault) checklist.Line {
	out := checklist.New(checklist.Key, checklist.Bad, f.Text, f.Hint).Named("key " + k.PKH.String())
	if f.Note {
		out.Result = checklist.Warning
	}
	return out
}
