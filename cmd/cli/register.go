package cli

import (
	"highwater/internal/terminal"
	"highwater/register"
)

// ShowRegister shows the register's part of the status.
func (a *App) ShowRegister(v *register.View) {
	if v == nil {
		return
	}
	a.Say("signs   %s; epoch %d", v.MaySign, v.Epoch)
	if v.Why != "" && !v.Mine {
		a.Say("        not taken here: %s", v.Why)
	}
	if text := v.Trouble(); text != "" {
		a.Say("        %s", a.Paint(terminal.Red, text))
	}
	a.Say("")
}
