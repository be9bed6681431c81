// Package ownmarks remembers devices beside their own marks: how far each device signed, and the marks not believed.
package ownmarks

import (
	"highwater/internal/device"
	"highwater/internal/tezos"
)

// Device is a connected device: the name in the configuration, and the identity. The name may be empty.
type Device struct{ Name, ID string }

// Key is the name of the device's memories. The separator is in no name and no identity.
func (d Device) Key() string {
	if d.Name == "" {
		return d.ID
	}
	return d.Name + "\n" + d.ID
}

func (d Device) String() string {
	if d.Name == "" {
		return d.ID
	}
	return d.Name + " (" + d.ID + ")"
}

// Kinds are the kinds of a mark.
func Kinds(m device.Mark) []tezos.Kind {
	if m.Kind == 0 {
		return tezos.Kinds
	}
	return []tezos.Kind{m.Kind}
}

// KindName names a mark by its kind; a mark for all kinds is a water mark.
func KindName(m device.Mark) string {
	if m.Kind == 0 {
		return "water"
	}
	return m.Kind.String()
}
