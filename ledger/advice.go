package ledger

import "fmt"

// The commands that an operator is told to run: with the device's name and the key, or another device or another key would be meant.

func (d *Device) resetAdvice(level int32) string {
	return fmt.Sprintf("highwater ledger reset --device %s --level %d", d.cfg.Name, level)
}

func (d *Device) setupAdvice(key Authorized) string {
	return fmt.Sprintf("highwater ledger setup --device %s --key %s/%s --hwm LEVEL", d.cfg.Name, key.Curve, key.Path)
}

// keyAdvice says how the right key is authorised: the one that the config names, or any.
func (d *Device) keyAdvice() string {
	if len(d.cfg.Want) == 0 {
		return fmt.Sprintf("run `highwater ledger setup --device %s --key KEY --hwm LEVEL`; `highwater ledger list` shows the keys", d.cfg.Name)
	}
	want := d.cfg.Want[0]
	return fmt.Sprintf("authorise the key that the config names: run %#q, or `highwater ledger authorize --device %s --key %s/%s`, which leaves the marks",
		d.setupAdvice(Authorized{Curve: want.Curve, Path: want.Path}), d.cfg.Name, want.Curve, want.Path)
}
