package keyring

import (
	"slices"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
)

// lookedAt is a device at a moment, its keys by address: for questions about many keys at once.
type lookedAt struct {
	Device
	place  int // in the order of the devices
	status device.Status
	byHash map[tezos.PublicKeyHash]device.Key
	idle   bool // holds no key that may be asked for
}

// Status is the device's state at the moment of the look.
func (d *lookedAt) Status() device.Status { return d.status }

// Look is all devices at a moment. No question about a key goes through all devices: thousands of keys on thousands of
// devices are asked about in turn.
type Look struct {
	byName  map[string]*lookedAt
	holders map[tezos.PublicKeyHash][]*lookedAt
	away    []*lookedAt                  // not ready: each may hold any key
	idle    []*lookedAt                  // ready, without a key that may be asked for
	ids     map[string]bool              // of the devices
	signed  map[tezos.PublicKeyHash]bool // keys with a device's own mark above level 0
}

// Look takes in the last words of all devices. No device is asked.
func (r *Ring) Look(devices []Device) *Look {
	l := &Look{
		byName: map[string]*lookedAt{}, holders: map[tezos.PublicKeyHash][]*lookedAt{},
		ids: map[string]bool{}, signed: map[tezos.PublicKeyHash]bool{},
	}
	for i, d := range devices {
		at := r.lookAt(d, i)
		l.byName[d.Name()] = at
		l.ids[at.status.ID] = true
		for pkh := range at.byHash {
			l.holders[pkh] = append(l.holders[pkh], at)
		}
		switch {
		case at.status.Health != device.Ready:
			l.away = append(l.away, at)
		case at.idle:
			l.idle = append(l.idle, at)
		}
	}
	return l
}

// NoteSeen takes in a device's own mark as of its last connection.
func (l *Look) NoteSeen(id string, pkh tezos.PublicKeyHash, kind tezos.Kind, p hwm.Position) {
	if l.ids[id] && p.Level > 0 && slices.Contains(tezos.Kinds, kind) {
		l.signed[pkh] = true
	}
}

// Signed tells whether a device's own mark for the key is above level 0.
func (l *Look) Signed(pkh tezos.PublicKeyHash) bool { return l.signed[pkh] }

func (r *Ring) lookAt(d Device, place int) *lookedAt {
	keys := d.Keys()
	at := &lookedAt{
		Device: d, place: place, status: d.Status(),
		byHash: make(map[tezos.PublicKeyHash]device.Key, len(keys)), idle: true,
	}
	for _, k := range keys {
		pkh := k.PublicKey.Hash()
		at.byHash[pkh] = k
		if _, serves := r.Lookup(pkh); serves {
			at.idle = false
		}
	}
	return at
}

// Candidates are the devices worth a question about the key: the devices of its policy, in order; or all holders, and
// of the devices that are not ready the first, and the holder at the last connection.
func (l *Look) Candidates(key *Key, store Store) []Device {
	var found []*lookedAt
	if names := key.Policy.Devices; len(names) > 0 {
		for _, name := range names {
			if d, ok := l.byName[name]; ok {
				found = append(found, d)
			}
		}
		return devicesOf(found)
	}
	found = append(found, l.holders[key.PKH]...)
	if len(l.away) > 0 {
		found = append(found, l.away[0])
		if known, ok := store.KnownKey(key.PKH); ok {
			if d, here := l.byName[known.Device]; here && d.status.Health != device.Ready {
				found = append(found, d)
			}
		}
	}
	slices.SortFunc(found, func(a, b *lookedAt) int { return a.place - b.place })
	return devicesOf(slices.Compact(found))
}

// Meant are the devices that the configuration means for the key: by name, or, where the key names none, by holding no
// key in service at all.
func (l *Look) Meant(key *Key) []Device {
	if len(key.Policy.Devices) == 0 {
		return devicesOf(l.idle)
	}
	var out []*lookedAt
	for _, name := range key.Policy.Devices {
		if d, ok := l.byName[name]; ok && !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b *lookedAt) int { return a.place - b.place })
	return devicesOf(out)
}

func devicesOf(found []*lookedAt) []Device {
	out := make([]Device, 0, len(found))
	for _, d := range found {
		out = append(out, d)
	}
	return out
}
