package ledger

import (
	"context"
	"errors"
	"fmt"

	"highwater/internal/device"
	"highwater/internal/tezos"
)

// Setup is the content of SETUP: the authorised key, the main chain, and both marks.
type Setup struct {
	Curve Curve
	Path  Path          // nil: DefaultPath
	Chain tezos.ChainID // never zero: without a main chain a reveal resets the round of the mark
	Main  int32         // level of the main chain's mark: (Main, 0) may still be attested
	Test  int32         // level of the mark of all other chains
}

// Show tells the user about the text on the device's screen and the button to press. Show is called before the driver
// waits for the device.
type Show func(text string)

// Setup authorises a key for baking and sets both marks. The user confirms on the device. The answer is the key.
func (d *Device) Setup(ctx context.Context, in Setup, show Show) (*tezos.PublicKey, error) {
	if in.Path == nil {
		in.Path = DefaultPath
	}
	switch {
	case in.Chain == tezos.ChainID{}:
		return nil, d.usage("a Ledger is set up with a chain id: without a chain id a reveal resets the round of the mark")
	case in.Main < 0 || in.Main > maxLevel || in.Test < 0 || in.Test > maxLevel:
		return nil, d.usage(fmt.Sprintf("the app takes levels from 0 to %d", maxLevel))
	}
	if err := d.checkKey(in.Curve, in.Path); err != nil {
		return nil, err
	}
	text := fmt.Sprintf("Setup Baking? %s/%s on %s, main mark %d, test mark %d: compare, and press both buttons at Accept",
		in.Curve, in.Path, in.Chain, in.Main, in.Test)
	return d.promptKey(ctx, in.Curve, setupCommand(in.Curve, in.Path, in.Chain, in.Main, in.Test), text, show)
}

// Authorize authorises a key for baking and keeps marks and chain. The user confirms on the device.
func (d *Device) Authorize(ctx context.Context, curve Curve, path Path, show Show) (*tezos.PublicKey, error) {
	if err := d.checkKey(curve, path); err != nil {
		return nil, err
	}
	text := fmt.Sprintf("Authorize Baking With Public Key? %s/%s: compare the address, and press both buttons at Accept",
		curve, path)
	return d.promptKey(ctx, curve, publicKeyCommand(InsAuthorize, curve, path), text, show)
}

// ShowKey makes the device show a key's address, for the user to compare.
func (d *Device) ShowKey(ctx context.Context, curve Curve, path Path, show Show) (*tezos.PublicKey, error) {
	if err := checkPath(curve, path); err != nil {
		return nil, d.usage(err.Error())
	}
	text := fmt.Sprintf("Provide Public Key: %s/%s: compare the address, and press both buttons at Accept", curve, path)
	return d.promptKey(ctx, curve, publicKeyCommand(InsPromptKey, curve, path), text, show)
}

// Reset sets both marks to (level, 0), up or down. The user confirms on the device. (level, 0) itself may still be
// attested.
func (d *Device) Reset(ctx context.Context, level int32, show Show) error {
	if level < 0 || level > maxLevel {
		return d.usage(fmt.Sprintf("the app takes levels from 0 to %d", maxLevel))
	}
	_, err := d.prompt(ctx, resetCommand(level), fmt.Sprintf("Reset HWM %d: press both buttons at Accept", level), show)
	return err
}

// Deauthorize makes the app forget the authorised key. The device does NOT ask: the caller must have asked.
func (d *Device) Deauthorize(ctx context.Context) error {
	return d.use(ctx, func(s *session) error {
		if _, err := s.call(ctx, instruction(InsDeauthorize, 0, 0, nil)); err != nil {
			return err
		}
		return d.prepare(ctx, s)
	})
}

// Marks asks for the device's own marks now.
func (d *Device) Marks(ctx context.Context) (m Marks, err error) {
	err = d.use(ctx, func(s *session) error {
		m, err = ask(ctx, s, instruction(InsAllMarks, 0, 0, nil), parseMarks)
		return err
	})
	return m, err
}

// Info is a device's description of itself.
type Info struct {
	ID        string // four words
	Root      tezos.PublicKeyHash
	Version   AppVersion
	Git       string       // the app's build
	Key       *Locator     // the authorised key; nil: none
	Marks     Marks        // the device's own
	Where     string       // the transport's address
	Authority []Authorized // all authorised keys; a Ledger has at most one
}

// Info asks the device for its whole description.
func (d *Device) Info(ctx context.Context) (Info, error) {
	var in Info
	err := d.use(ctx, func(s *session) error {
		if err := s.load(ctx); err != nil {
			return err
		}
		git, err := s.call(ctx, instruction(InsGit, 0, 0, nil))
		if err != nil {
			return err
		}
		in = Info{
			ID: DeviceName(s.root), Root: s.root, Version: s.version,
			Git: text(git), Marks: s.marks, Where: s.t.Where(),
		}
		for _, k := range s.keys {
			in.Authority = append(in.Authority, k.Authorized)
		}
		if len(s.keys) > 0 {
			in.Key = &Locator{Device: in.ID, Curve: s.keys[0].Curve, Path: s.keys[0].Path}
		}
		return nil
	})
	return in, err
}

// text drops unprintable bytes, and the NUL at the end.
func text(b []byte) string {
	out := make([]byte, 0, len(b))
	for _, c := range b {
		if c >= ' ' && c < 0x7f {
			out = append(out, c)
		}
	}
	return string(out)
}

// PublicKey asks for the key at a path, authorised or not.
func (d *Device) PublicKey(ctx context.Context, curve Curve, path Path) (k *tezos.PublicKey, err error) {
	if err = checkPath(curve, path); err != nil {
		return nil, d.usage(err.Error())
	}
	err = d.use(ctx, func(s *session) error {
		k, err = s.publicKey(ctx, curve, path)
		return err
	})
	return k, err
}

// checkKey refuses keys that a baker cannot use.
func (d *Device) checkKey(curve Curve, path Path) error {
	if curve == BLS12381 {
		return d.named(refused(adviceTZ4, reasonTZ4))
	}
	if err := checkPath(curve, path); err != nil {
		return d.usage(err.Error())
	}
	return nil
}

func checkPath(curve Curve, path Path) error {
	if curve > BLS12381 {
		return fmt.Errorf("unknown curve %d", byte(curve))
	}
	if !path.belowRoot() || len(path) > MaxPath {
		return fmt.Errorf("%w: the app derives only below 44'/1729', with at most %d components", ErrBadPath, MaxPath)
	}
	return nil
}

// usage is the error of a senseless request; nothing was sent.
func (d *Device) usage(why string) error {
	return d.named(&device.Error{Health: d.Status().Health, Err: errors.New(why)})
}

// use runs f with the session.
func (d *Device) use(ctx context.Context, f func(*session) error) error {
	s, release, err := d.owner.Acquire(ctx)
	if err != nil {
		return err
	}
	err = d.named(f(s))
	if err == nil {
		d.owner.Refresh()
	}
	release(err)
	return err
}

// promptKey sends a prompt whose answer is a key. The device is read again after the prompt.
func (d *Device) promptKey(
	ctx context.Context, curve Curve, c command, text string, show Show,
) (*tezos.PublicKey, error) {
	out, err := d.prompt(ctx, c, text, show)
	if err != nil {
		return nil, err
	}
	key, err := parsePublicKey(curve, out)
	if err != nil {
		return nil, d.named(err)
	}
	return key, nil
}
