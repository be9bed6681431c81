package store

import (
	"crypto"
	"encoding/json"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
	"highwater/store/layout"
)

var metaPeer = []byte("peer")

// peerRecord is the sealed JSON of the peer.
type peerRecord struct {
	Address string         `json:"address"`
	Key     hwm.InstanceID `json:"key"`
	Since   time.Time      `json:"since"`
	Seen    uint64         `json:"seen"`
}

// Identity signs with the instance's key; Instance is the public key.
func (db *DB) Identity() crypto.Signer { return db.instance }

// Peer is the peer; false when this instance is alone.
func (db *DB) Peer() (hwm.Peer, bool) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.peer == nil {
		return hwm.Peer{}, false
	}
	return *db.peer, true
}

// SetPeer names the other instance, durably; nil makes this instance alone. The name is no secret, and says nothing
// about the right to sign.
func (db *DB) SetPeer(p *hwm.Peer) error {
	var write func(*bolt.Tx) error
	if p == nil {
		write = func(tx *bolt.Tx) error { return tx.Bucket(layout.BucketMeta).Delete(metaPeer) }
	} else {
		kept := *p
		kept.Since = kept.Since.UTC().Truncate(time.Millisecond)
		var err error
		if write, err = layout.PutJSON(layout.BucketMeta, metaPeer, peerRecord(kept)); err != nil {
			return err
		}
		p = &kept
	}
	db.roleMu.Lock()
	defer db.roleMu.Unlock()
	if err := db.durably(func() (*batch, error) { return db.write(write), nil }); err != nil {
		return err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	db.peer = p
	return nil
}

// loadPeer reads the peer, if any.
func (db *DB) loadPeer(tx *bolt.Tx) error {
	record := tx.Bucket(layout.BucketMeta).Get(metaPeer)
	if record == nil {
		return nil
	}
	body, err := hwm.Unseal(metaPeer, record)
	if err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	var r peerRecord
	if err := json.Unmarshal(body, &r); err != nil {
		return fmt.Errorf("peer: %w: %w", hwm.ErrCorrupt, err)
	}
	peer := hwm.Peer(r)
	db.peer = &peer
	return nil
}
