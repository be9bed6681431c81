package ledger

import "fmt"

// The commands that the advice names carry the device's name and the key. Without them an operator could change
// another device or another key.

func (d *Device) resetAdvice(level int32) string {
	return fmt.Sprintf("highwater ledger reset --device %s --level %d", d.cfg.Name, level)
}

func (d *Device) setupAdvice(key Authorized) string {
	return fmt.Sprintf("highwater ledger setup --device %s --key %s/%s --hwm LEVEL", d.cfg.Name, key.Curve, key.Path)
}

// keyAdvice says how to authorise the right key: the first key of the config, or any key when the config names none.
func (d *Device) keyAdvice() string {
	if len(d.cfg.Want) == 0 {
		return fmt.Sprintf("run `highwater ledger setup --device %s --key KEY --hwm LEVEL`; "+
			"`highwater ledger list` shows the keys", d.cfg.Name)
	}
	want := d.cfg.Want[0]
	return fmt.Sprintf("authorise the key of the config: run %#q, or "+
		"`highwater ledger authorize --device %s --key %s/%s` to keep the marks",
		d.setupAdvice(Authorized{Curve: want.Curve, Path: want.Path}), d.cfg.Name, want.Curve, want.Path)
}
