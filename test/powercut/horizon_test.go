//go:build powercut

package powercut_test

import (
	be "encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
	"highwater/internal/tezos"
)

// onDisk is what a watermark file has, read past the program.
type onDisk struct {
	marks    map[hwm.Key]hwm.Position
	horizons map[tezos.PublicKeyHash]int32
}

// readDisk reads a copy of the file.
func readDisk(t *testing.T, marks string) onDisk {
	t.Helper()
	all, err := os.ReadFile(marks)
	require.NoError(t, err)
	copied := filepath.Join(t.TempDir(), "copy.db")
	require.NoError(t, os.WriteFile(copied, all, 0o600))
	db, err := bolt.Open(copied, 0o600, &bolt.Options{ReadOnly: true})
	require.NoError(t, err)
	out := onDisk{map[hwm.Key]hwm.Position{}, map[tezos.PublicKeyHash]int32{}}
	err = db.View(func(tx *bolt.Tx) error {
		return errors.Join(tx.Bucket([]byte("marks")).ForEach(out.addMark),
			tx.Bucket([]byte("horizons")).ForEach(out.addHorizon))
	})
	require.NoError(t, errors.Join(err, db.Close(), os.Remove(copied)))
	return out
}

func (d onDisk) addMark(k, v []byte) error {
	var key hwm.Key
	if err := key.UnmarshalBinary(k); err != nil {
		return err
	}
	mark, err := hwm.DecodeMark(k, key.PKH.Curve, v)
	d.marks[key] = mark.Position
	return err
}

func (d onDisk) addHorizon(k, v []byte) error {
	var key hwm.CeilingKey
	if err := key.UnmarshalBinary(k); err != nil {
		return err
	}
	body, err := hwm.Unseal(k, v)
	if err == nil {
		d.horizons[key.PKH] = int32(be.BigEndian.Uint32(body))
	}
	return err
}

// ahead counts the answers whose exact marks the disk does not have.
func (d onDisk) ahead(answers []answer) (n int) {
	for _, a := range answers {
		have := d.marks[hwm.Key{Chain: chain, PKH: a.key.Hash(), Kind: a.step.Kind}]
		if a.step.Level > have.Level || a.step.Level == have.Level && a.step.Round > have.Round {
			n++
		}
	}
	return n
}
