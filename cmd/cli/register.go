package cli

import (
	"fmt"

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
	switch {
	case v.SilentMS > 0:
		a.Say("        %s: %s", a.Paint(terminal.Red, fmt.Sprintf("the register has not answered for %d s", v.SilentMS/1000)),
			v.Error)
	case v.Error != "":
		a.Say("        %s", a.Paint(terminal.Red, v.Error))
	}
	a.Say("")
}
