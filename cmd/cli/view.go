package cli

import (
	"slices"

	"highwater/hwm"
	"highwater/internal/checklist"
	"highwater/internal/device"
	"highwater/internal/doctor"
	"highwater/internal/terminal"
	"highwater/internal/words"
	"highwater/operate"
)

// MarksTable shows marks, a line for each key and kind. With several chains, each line names its chain.
func (a *App) MarksTable(marks []operate.MarkRow) error {
	header := []string{"key", "alias", "kind", "level", "round", "horizon", "ceiling", "source", "updated"}
	several := slices.ContainsFunc(marks, func(m operate.MarkRow) bool { return m.Chain != marks[0].Chain })
	if several {
		header = append(header, "chain")
	}
	rows := [][]string{}
	for _, m := range marks {
		at := "-"
		if m.UpdatedAt != nil {
			at = words.Time(*m.UpdatedAt)
		}
		row := []string{
			m.PKH.String(), words.Dash(words.ShortAlias(m.Alias)), m.Kind.String(), m.LevelText(), m.RoundText(),
			m.HorizonText(), m.CeilingText(), words.Dash(m.Source), at,
		}
		if several {
			row = append(row, m.Chain.String())
		}
		rows = append(rows, row)
	}
	return a.Table(header, rows)
}

// PaintRole colours a role.
func (a *App) PaintRole(r hwm.Role) string {
	switch r {
	case hwm.Active:
		return a.Paint(terminal.Green, "active")
	case hwm.Fenced:
		return a.Paint(terminal.Red, "fenced")
	case hwm.Standby:
	}
	return a.Paint(terminal.Yellow, r.String())
}

// PaintHealth colours the health of a device.
func (a *App) PaintHealth(h device.Health) string {
	if h == device.Ready {
		return a.Paint(terminal.Green, string(h))
	}
	return a.Paint(terminal.Red, string(h))
}

// ShowRole shows the role and its consequence.
func (a *App) ShowRole(r operate.Role, then string) error {
	if a.AsJSON {
		return a.JSON(r)
	}
	a.Say("%s, epoch %d: %s", a.PaintRole(r.Role), r.Epoch, then)
	return nil
}

// WarnKeys names the keys that cannot sign here. The command itself goes on.
func (a *App) WarnKeys(st operate.Status) {
	for _, f := range doctor.Keys(st) {
		if f.Result != checklist.OK {
			a.Note("warning: %s cannot sign here: %s\nhint: %s", f.Name, f.Detail, f.Hint)
		}
	}
}
