package signer_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
	"highwater/signer"
	"highwater/signer/signertest"
)

// counted counts the questions to a device.
type counted struct {
	signer.Device
	asked *int
}

func (c counted) Name() string          { *c.asked++; return c.Device.Name() }
func (c counted) Keys() []device.Key    { *c.asked++; return c.Device.Keys() }
func (c counted) Status() device.Status { *c.asked++; return c.Device.Status() }

// countedStore counts the questions about devices and keys. KnownKeys copies all keys: it counts as many.
type countedStore struct {
	*signertest.Store
	asked *int
}

func (c countedStore) Seen(id string, pkh tezos.PublicKeyHash, kind tezos.Kind) (hwm.Position, bool) {
	*c.asked++
	return c.Store.Seen(id, pkh, kind)
}

func (c countedStore) KnownKey(pkh tezos.PublicKeyHash) (hwm.KnownKey, bool) {
	*c.asked++
	return c.Store.KnownKey(pkh)
}

func (c countedStore) KnownKeys() map[tezos.PublicKeyHash]hwm.KnownKey {
	out := c.Store.KnownKeys()
	*c.asked += len(out)
	return out
}

// questions counts the questions of learning n keys on n devices, and of one look at them all.
func questions(t *testing.T, n int, health device.Health, named bool) int {
	t.Helper()
	asked := 0
	cfg := signer.Config{Chain: ghost}
	keys := make([]*softkey.Key, 0, n)
	for i := range n {
		k := newKey(t, tezos.Ed25519, byte(i+1))
		d := signertest.NewDevice(fmt.Sprint("d", i), k)
		keys = append(keys, k)
		cfg.Devices = append(cfg.Devices, counted{d, &asked})
		if named {
			cfg.Keys = append(cfg.Keys, signer.KeyPolicy{PKH: k.PublicKey().Hash(), Devices: []string{d.Name()}})
		}
	}
	cfg.Store = countedStore{signertest.NewStore(0, keys...), &asked}
	s := signer.New(cfg)
	s.Learn()
	s.Learn() // as known keys
	for _, d := range cfg.Devices {
		d.(counted).Device.(*signertest.Device).Become(health)
	}
	require.Len(t, s.KeysHealth(), n)
	return asked
}

// TestManyKeysAreNotQuadratic: twice as many keys and devices take twice as many questions.
func TestManyKeysAreNotQuadratic(t *testing.T) {
	for _, health := range []device.Health{device.Ready, device.Absent} {
		for _, named := range []bool{false, true} {
			once, twice := questions(t, 60, health, named), questions(t, 120, health, named)
			require.LessOrEqual(t, twice, once*5/2, "%s, named %t", health, named)
		}
	}
}
