package terminal

import "highwater/internal/checklist"

// Checklist writes a checklist as a result: a line each, with what to do where something stands in the way.
func (t *Terminal) Checklist(findings []checklist.Line) {
	for _, f := range findings {
		t.Say("  %s  %-15s %s", t.PaintResult(f.Result), f.Name, f.Detail)
		if f.Hint != "" && f.Result != checklist.OK {
			t.Say("           %-15s → %s", "", f.Hint)
		}
	}
}
