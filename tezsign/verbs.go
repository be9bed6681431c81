package tezsign

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"highwater/internal/device"
	"highwater/internal/tezos"
)

// held runs a verb that changes keys, with signing held. After the verb, held reads the keys anew and has new keys
// compared. An error of the verb does not break the signing session.
func (d *Device) held(ctx context.Context, verb func(*link) error) error {
	l, release, err := d.owner.Acquire(ctx)
	if err != nil {
		return err
	}
	verbErr := verb(l)
	ctx = context.WithoutCancel(ctx) // the change must be seen; a cancelled look would cost the session
	err = d.refresh(ctx, l)
	if err == nil {
		err = d.reconcile(ctx, l)
	}
	if err != nil {
		var de *device.Error
		if !errors.As(err, &de) {
			de = d.fault(err)
		}
		release(de)
		return errors.Join(verbErr, de)
	}
	d.owner.Refresh()
	release(nil)
	return verbErr
}

// Lock locks the named keys, once no signature is under way.
func (d *Device) Lock(ctx context.Context, aliases []string) (results []KeyResult, err error) {
	err = d.held(ctx, func(*link) error {
		results, err = d.manager.Lock(ctx, aliases)
		return err
	})
	return results, err
}

// SetLevel raises the gadget's marks for a key; see Manager.SetLevel. The host is told first, and raises its marks
// too: the operator wants the level.
func (d *Device) SetLevel(ctx context.Context, alias string, level int32, o LevelOptions) error {
	return d.held(ctx, func(l *link) error {
		if folded, err := FoldAlias(alias); err == nil && slices.Contains(l.damaged, folded) {
			return fmt.Errorf("%s: %w", folded, ErrStateLost)
		}
		o.Before = func(pkh tezos.PublicKeyHash) error {
			host, ok := d.reconciler.(device.MarkSetter)
			if !ok {
				return nil
			}
			marks := make([]device.Mark, 0, len(tezos.Kinds))
			for _, kind := range tezos.Kinds {
				marks = append(marks, device.Mark{PKH: pkh, Kind: kind, Level: level})
			}
			return host.SetMarks(d.identity(l), marks)
		}
		return d.manager.SetLevel(ctx, alias, level, o)
	})
}

// Delete deletes keys for good, while other keys go on signing.
func (d *Device) Delete(ctx context.Context, aliases []string, passphrase []byte) ([]KeyResult, error) {
	results, err := d.manager.Delete(ctx, aliases, passphrase)
	if len(results) > 0 {
		err = errors.Join(err, d.held(ctx, func(*link) error { return nil }))
	}
	return results, err
}

// Init makes the gadget's seed without holding up signatures: a gadget without a seed has no keys.
func (d *Device) Init(ctx context.Context, deterministic bool, passphrase []byte) error {
	return d.manager.Init(ctx, deterministic, passphrase)
}

// NewKeys makes keys, each for seconds, while other keys go on signing. See Manager.NewKeys.
func (d *Device) NewKeys(
	ctx context.Context, aliases []string, passphrase []byte, progress func(done, total int),
) ([]NewKey, error) {
	keys, err := d.manager.NewKeys(ctx, aliases, passphrase, progress)
	if len(keys) > 0 {
		err = errors.Join(err, d.held(ctx, func(*link) error { return nil }))
	}
	return keys, err
}

// InitInfo asks whether the gadget was initialised.
func (d *Device) InitInfo(ctx context.Context) (InitInfo, error) { return d.manager.InitInfo(ctx) }

// Logs returns the last lines of the gadget's log.
func (d *Device) Logs(ctx context.Context, limit int) ([]string, error) {
	return d.manager.Logs(ctx, limit)
}

// Version asks for the version of the gadget's program.
func (d *Device) Version(ctx context.Context) (Version, error) { return d.manager.Version(ctx) }

// KeyStates asks for all keys of the gadget, also for keys that this signer does not use.
func (d *Device) KeyStates(ctx context.Context) ([]KeyState, error) { return d.manager.Status(ctx) }
