package signer

import (
	"errors"
	"fmt"
	"slices"

	"highwater/internal/device"
	"highwater/internal/hints"
	"highwater/internal/tezos"
	"highwater/signer/keyring"
)

// firstUsable is the first device that is ready and can sign the kind with the key; nil: none.
func (s *Signer) firstUsable(candidates []Device, pkh tezos.PublicKeyHash, kind tezos.Kind) Device {
	for _, d := range candidates {
		if d.Status().Health != device.Ready {
			continue
		}
		if k, ok := keyring.On(d, pkh); ok && k.Usable == "" && slices.Contains(k.Kinds, kind) && !s.isStrange(d, pkh) {
			return d
		}
	}
	return nil
}

// deviceFault keeps the devices from signing with the key; nil when Sign would find a device for each kind.
func (s *Signer) deviceFault(key *keyring.Key, candidates []Device) *KeyFault {
	for _, kind := range key.Kinds() {
		if s.firstUsable(candidates, key.PKH, kind) == nil {
			f := s.explain(key, candidates, kind)
			return &f
		}
	}
	if _, err := s.ring.Find(key.PKH); err != nil { // the device is connected, and its keys are not taken in yet
		return &KeyFault{Reason: KeyNoDevice, Text: err.Error(), Hint: hints.Of(err), Health: device.Absent, cause: err}
	}
	return nil
}

// explain says why no candidate signs this kind with the key.
func (s *Signer) explain(key *keyring.Key, candidates []Device, kind tezos.Kind) KeyFault {
	d := s.likeliest(key, candidates)
	if d == nil {
		text := "no connected device holds the key"
		if key.Public() == nil {
			text = "no device with the key was connected yet"
		}
		return KeyFault{
			Reason: KeyNoDevice, Text: text, Hint: "connect the device with the key; see: highwater " +
				"keys list", Health: device.Absent,
			cause: fmt.Errorf("no connected device holds %s", key.PKH),
		}
	}
	st := d.Status()
	f := KeyFault{Reason: KeyReason(st.Health), Device: d.Name(), Hint: st.Advice, Health: st.Health}
	k, ok := keyring.On(d, key.PKH)
	switch {
	case st.Health != device.Ready:
		f.Text = "the device is " + string(st.Health)
		if st.Detail != "" {
			f.Text += ": " + st.Detail
		}
		f.cause = errors.New(f.Text)
		f.Text = "device " + d.Name() + " is" + f.Text[len("the device is"):]
	case !ok:
		f.Reason, f.Health, f.Text = KeyNoDevice, device.Absent, "device "+d.Name()+" does not hold the key"
		f.Hint = "connect the device with the key, or look at `device` of the key in the configuration; see: " +
			"highwater keys list"
		f.cause = fmt.Errorf("%w: %s", device.ErrNoKey, key.PKH)
	case k.Usable != "":
		f.Reason, f.Health, f.Text, f.cause = KeyReason(device.Locked), device.Locked, k.Usable, errors.New(k.Usable)
	case s.isStrange(d, key.PKH):
		f.Reason, f.Health, f.Text, f.Hint = KeyLevel, device.Broken, unusableStrange, s.hintStrange(d.Name())
		f.cause = errors.New(f.Text)
	default:
		f.Reason, f.Health = KeyOtherUse, device.Broken
		f.Text = fmt.Sprintf("%s cannot sign a %s with %s", d.Name(), kind, key.PKH)
		f.cause = errors.New(f.Text)
	}
	return f
}

// likeliest is the candidate for an operator to look at: the first that holds the key; else the holder at the last
// connection; else the first that is not ready, and may hold the key; else the first. Nil without candidates.
func (s *Signer) likeliest(key *keyring.Key, candidates []Device) Device {
	known, _ := s.store.KnownKey(key.PKH)
	var last, away Device
	for _, d := range candidates {
		switch {
		case keyring.Holds(d, key.PKH):
			return d
		case d.Name() == known.Device:
			last = d
		case away == nil && d.Status().Health != device.Ready:
			away = d
		}
	}
	switch {
	case last != nil:
		return last
	case away != nil:
		return away
	case len(candidates) > 0:
		return candidates[0]
	}
	return nil
}

// unavailable explains to a request why no device could be asked.
func (s *Signer) unavailable(key *keyring.Key, candidates []Device, kind tezos.Kind) error {
	f := s.explain(key, candidates, kind)
	return &device.Error{Device: f.Device, Health: f.Health, Err: f.cause, Hint: f.Hint}
}
