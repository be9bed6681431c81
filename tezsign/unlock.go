package tezsign

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"highwater/internal/device"
	"highwater/internal/tezos"
)

// autoUnlock unlocks the wanted keys that are locked, once after each connection, if a passphrase is configured. The
// caller holds the link: nothing is signed meanwhile. A key that stays locked is no error, because the other keys
// sign.
func (d *Device) autoUnlock(ctx context.Context, l *link) error {
	aliases := lockedAliases(l)
	if len(aliases) == 0 {
		l.unlockDue, l.restarted, l.note = false, false, ""
		return nil
	}
	if !l.unlockDue || d.cfg.Passphrase == nil {
		return nil
	}
	l.restarted = false // the note holds the result
	if aliases = slices.DeleteFunc(aliases, d.wasRefused); len(aliases) == 0 {
		l.unlockDue, l.note = false, "the last try of the passphrase failed: unlock by hand"
		return nil
	}
	results, err := d.unlockWith(ctx, l, aliases)
	if err != nil {
		// The next probe tries again (throttled, the interface in use, …). Meanwhile the unlocked keys sign.
		l.note = "unlock: " + err.Error()
		l.unlockDue = !errors.Is(err, ErrNoPassphrase)
		return nil
	}
	l.unlockDue, l.note = false, ""
	for _, r := range results {
		if r.Err == nil {
			d.cfg.Log.Info("key unlocked", "device", d.cfg.Name, "alias", r.Alias)
			continue
		}
		l.note = fmt.Sprintf("%s: %v", r.Alias, r.Err)
		d.cfg.Log.Warn("key not unlocked", "device", d.cfg.Name, "alias", r.Alias, "error", r.Err)
		switch {
		case errors.Is(r.Err, ErrWrongPassphrase):
			d.setRefused(r.Alias, true)
		case errors.Is(r.Err, ErrCorrupted):
			l.damage(r.Alias)
		}
	}
	return d.refresh(ctx, l)
}

// unlockWith fetches the passphrase and wipes the passphrase after use. A failing source is like a source without a
// passphrase.
func (d *Device) unlockWith(ctx context.Context, l *link, aliases []string) (results []KeyResult, err error) {
	pass, err := d.cfg.Passphrase.Passphrase(ctx, d.cfg.Name)
	if err != nil {
		d.cfg.Log.Warn("no passphrase", "device", d.cfg.Name, "error", err)
		return nil, fmt.Errorf("%w: %w", ErrNoPassphrase, err)
	}
	defer clear(pass)
	brief, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = d.manager.with(brief, l.gadget, func(s *session) error {
		results, err = d.manager.unlock(ctx, s, aliases, pass)
		return err
	})
	return results, err
}

func lockedAliases(l *link) (out []string) {
	for _, k := range l.keys {
		if k.Locked && !k.Corrupted {
			out = append(out, k.Alias)
		}
	}
	return out
}

func (d *Device) wasRefused(alias string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.refused[alias]
}

func (d *Device) setRefused(alias string, v bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refused[alias] = v
}

// reconcile compares the marks of the unlocked keys with the host's, unless all were compared since the connection
// began, and raises the gadget to the level that the host allows. The caller holds the link.
func (d *Device) reconcile(ctx context.Context, l *link) error {
	fresh := false
	var marks []device.Mark
	for _, k := range l.keys {
		if k.usable() == "" {
			fresh = fresh || !l.reconciled[k.PKH]
			marks = append(marks, k.Marks...)
		}
	}
	if !fresh {
		return nil
	}
	if d.reconciler != nil {
		raise, alarm, err := d.reconciler.Reconcile(ctx, d.identity(l), marks)
		if err != nil {
			return &device.Error{
				Device: d.cfg.Name, Health: device.Broken, Retry: true,
				Hint: "the signer could not record the gadget's marks: look at the signer's store",
				Err:  fmt.Errorf("reconcile marks: %w", err),
			}
		}
		l.alarm = alarm
		d.setAllowed(raise)
		if err := d.raise(ctx, l, raise); err != nil {
			return err
		}
	}
	for _, k := range l.keys {
		if k.usable() == "" {
			l.reconciled[k.PKH] = true
		}
	}
	return nil
}

// identity is the host's name for the gadget's marks: the serial. Several gadgets may show the default serial: for a
// gadget with the default serial, identity holds the operator's name too.
func (d *Device) identity(l *link) string {
	serial := l.gadget.Info().Serial
	if serial == DefaultSerial || serial == "" {
		return Kind + ":" + serial + ":" + d.cfg.Name
	}
	return Kind + ":" + serial
}

// raise lifts keys whose three marks are all below the allowed level. The host never allows more than the lowest of
// its own marks for the key: every request that the host would sign stays possible.
func (d *Device) raise(ctx context.Context, l *link, allowed []device.Mark) error {
	wanted := map[tezos.PublicKeyHash]int32{}
	for _, m := range allowed {
		k := l.find(m.PKH)
		if k == nil || k.usable() != "" || m.Level < 1 || m.Level == math.MaxInt32 || m.Level <= k.Level() {
			continue
		}
		if level, ok := wanted[m.PKH]; !ok || m.Level < level {
			wanted[m.PKH] = m.Level
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	brief, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := d.manager.with(brief, l.gadget, func(s *session) error {
		for pkh, level := range wanted {
			alias := l.find(pkh).Alias
			if err := d.manager.setLevel(ctx, s, alias, level, LevelOptions{HostMark: level}); err != nil {
				return fmt.Errorf("%s: %w", alias, err)
			}
			d.cfg.Log.Warn("gadget's marks raised to the host's", "device", d.cfg.Name, "alias", alias, "level", level)
		}
		return nil
	})
	if err != nil {
		// The host's marks are the first line: a gadget that could not be raised still signs.
		d.cfg.Log.Warn("gadget's marks not raised", "device", d.cfg.Name, "error", err)
		l.note = "the gadget's marks could not be raised: " + err.Error()
	}
	return d.refresh(ctx, l)
}

// Unlock unlocks the named keys, or all locked keys of the wanted keys. Signing is held meanwhile.
func (d *Device) Unlock(ctx context.Context, aliases []string, passphrase []byte) ([]KeyResult, error) {
	if len(aliases) == 0 {
		aliases = slices.Clone(d.cfg.Aliases)
	}
	aliases, err := FoldAliases(aliases)
	if err != nil {
		return nil, err
	}
	var results []KeyResult
	err = d.held(ctx, func(l *link) error {
		return d.manager.with(ctx, l.gadget, func(s *session) error {
			var failed error
			results, failed = d.manager.unlock(ctx, s, aliases, passphrase)
			for _, r := range results {
				if errors.Is(r.Err, ErrStateLost) {
					l.damage(r.Alias)
				}
			}
			return failed
		})
	})
	for _, r := range results {
		if r.Err == nil {
			d.setRefused(r.Alias, false)
		}
	}
	return results, err
}
