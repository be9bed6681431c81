package ledger

import (
	"fmt"

	"highwater/internal/hints"
)

// The commands that the advice names carry the device's name and the key. Without them an operator could change
// another device or another key.

func (d *Device) resetAdvice(level int32) string {
	return fmt.Sprintf("highwater ledger reset --device %s --level %d", d.cfg.Name, level)
}

// setupAdvice authorises a key, and sets the device's mark; known is where the chain may be.
func (d *Device) setupAdvice(key Authorized, known int64) string {
	setup := fmt.Sprintf("highwater ledger setup --device %s --key %s/%s --hwm", d.cfg.Name, key.Curve, key.Path)
	return hints.Level(setup, known)
}

// keyAdvice says how to authorise the right key: the first key of the config, or any key when the config names none.
func (d *Device) keyAdvice() string {
	if len(d.cfg.Want) == 0 {
		return fmt.Sprintf("`highwater ledger list --device %s` shows the keys; authorise the first: %s",
			d.cfg.Name, d.setupAdvice(Authorized{Curve: Ed25519, Path: DefaultPath}, 0))
	}
	want := d.cfg.Want[0]
	return fmt.Sprintf("authorise the key of the config: %s; or, to keep the marks: "+
		"highwater ledger authorize --device %s --key %s/%s",
		d.setupAdvice(Authorized{Curve: want.Curve, Path: want.Path}, 0), d.cfg.Name, want.Curve, want.Path)
}
