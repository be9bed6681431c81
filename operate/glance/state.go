package glance

import (
	"cmp"
	"fmt"
	"strings"

	"highwater/hwm"
	"highwater/operate"
)

// State is the state of the instance in one look.
type State struct {
	Class string // good, calm, bad
	Sign  string
	Word  string // of the title
	Text  string // in a sentence
}

// StateOf finds the state; the order of the cases counts.
func StateOf(st operate.Status) State {
	switch {
	case st.Ready:
		return State{"good", "✓", "Ready", "Ready: it signs."}
	case st.Role.Role == hwm.Fenced:
		return State{"bad", "✗", "FENCED", "Fenced: it ended its own signing."}
	case resting(st):
		return State{"calm", "–", "Standby", "Standby, and ready: only the right to sign is elsewhere."}
	case st.Role.Role == hwm.Active && st.Running && !st.Signing && st.Store == operate.StoreOK:
		return State{"bad", "…", "WAITING", "Waiting: it does not sign yet."}
	case st.Signing && len(st.Ahead) > 0 && len(st.NotReady) == len(st.Ahead):
		return ahead(st.Ahead)
	}
	if st.Signing {
		return State{"bad", "✗", "NOT READY", "Not ready. Not every key signs:"}
	}
	return State{"bad", "✗", "NOT READY", "Not ready. Nothing is signed now:"}
}

// resting tells whether the right to sign is all that is missing, and lies elsewhere.
func resting(st operate.Status) bool {
	if len(st.NotReady) != 1 || !strings.HasPrefix(st.NotReady[0], "role: ") {
		return false
	}
	if r := st.Register; r != nil {
		return !r.Mine && r.Owner != (hwm.InstanceID{}) && r.SilentMS == 0
	}
	return st.Role.Role == hwm.Standby
}

// ahead is the state of an instance with keys that sign only from a later level on.
func ahead(keys []operate.Ahead) State {
	from, never := int32(0), false
	for _, k := range keys {
		from, never = max(from, k.From), never || k.From == 0
	}
	if never {
		return State{"bad", "✗", "NOT READY", "Not ready: a key signs nothing more, by its ceiling."}
	}
	word := fmt.Sprintf("until level %d", from)
	return State{"bad", "✗", "NOT READY " + word, "Not ready " + word + "."}
}

// Title names the machine, the network and the state.
func (v View) Title() string {
	words := []string{v.State.Sign + " " + v.State.Word}
	if n := len(v.Alarms); n == 1 {
		words[0] += ", 1 alarm"
	} else if n > 1 {
		words[0] += fmt.Sprintf(", %d alarms", n)
	}
	for _, word := range []string{v.Name, v.Network, "Highwater"} {
		if word != "" {
			words = append(words, word)
		}
	}
	return strings.Join(words, " · ")
}

// MaySign tells which machine may sign, in a sentence.
func (v View) MaySign() string {
	text := "this instance"
	switch {
	case v.Register != nil:
		text = v.Register.MaySign
		if !strings.Contains(text, "register") {
			text += ", by the register"
		}
	case v.Pair != nil:
		text = v.Pair.MaySign
	case v.Role.Role != hwm.Active:
		text = "not this instance; no other is known here"
	}
	if rest, ok := strings.CutPrefix(text, "this instance"); ok {
		text = cmp.Or(v.Name, "this instance") + rest
	}
	return text
}
