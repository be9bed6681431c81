// Package etcd is a register.Backend on etcd (servers v3.4 to v3.7).
//
// Each member has a client of its own. A call tries one member for a second at most, and goes on with the next one on an error: a client with all
// endpoints keeps sending requests into a member that is silent, for as long as it is silent. A swap that is tried again compares with the same record,
// so that it is applied once at the most, and it is recognised by its bytes if an earlier try was applied.
package etcd

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"highwater/register"
)

// Config names a register.
type Config struct {
	Endpoints []string // one of each member: https://host:2379
	Key       string   // of the record
	TLS       *tls.Config
}

// tryTimeout is how long one member may take for one request. A healthy one takes some milliseconds, one with a slow disk some 100.
const tryTimeout = time.Second

// minKeepalive is the least that the client library takes; a lower one is raised in silence.
const minKeepalive = 10 * time.Second

// Register is a record in etcd. It is safe for concurrent use. Close ends its connections.
type Register struct {
	key     string
	members []*member

	mu    sync.Mutex
	first int // the member that answered last
}

type member struct {
	endpoint string
	client   *clientv3.Client
}

// Open makes the clients. It does not wait for any member.
func Open(cfg Config) (*Register, error) {
	if len(cfg.Endpoints) == 0 {
		return nil, errors.New("no endpoint of the register is given")
	}
	r := &Register{key: cfg.Key}
	for _, endpoint := range cfg.Endpoints {
		client, err := clientv3.New(clientv3.Config{
			Endpoints: []string{endpoint}, TLS: cfg.TLS, Logger: zap.NewNop(),
			DialKeepAliveTime: minKeepalive, DialKeepAliveTimeout: 3 * time.Second, MaxUnaryRetries: 1,
		})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", endpoint, err), r.Close())
		}
		r.members = append(r.members, &member{endpoint, client})
	}
	return r, nil
}

// Close ends all connections.
func (r *Register) Close() error {
	var errs []error
	for _, m := range r.members {
		if err := m.client.Close(); err != nil && !errors.Is(err, context.Canceled) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// each lets one member after the other try, the one that answered last first, until one answers or ctx ends. Its error names every member.
func (r *Register) each(ctx context.Context, try func(context.Context, *clientv3.Client) error) error {
	r.mu.Lock()
	first := r.first
	r.mu.Unlock()
	var errs []error
	for i := range r.members {
		at := (first + i) % len(r.members)
		m := r.members[at]
		one, cancel := context.WithTimeout(ctx, tryTimeout)
		err := try(one, m.client)
		cancel()
		if err == nil {
			r.mu.Lock()
			r.first = at
			r.mu.Unlock()
			return nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", m.endpoint, err))
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// Read is a linearizable read.
func (r *Register) Read(ctx context.Context) (register.Entry, error) {
	var resp *clientv3.GetResponse
	err := r.each(ctx, func(ctx context.Context, c *clientv3.Client) (err error) {
		resp, err = c.Get(ctx, r.key)
		return err
	})
	if err != nil {
		return register.Entry{}, err
	}
	if len(resp.Kvs) == 0 {
		return register.Entry{}, fmt.Errorf("%w under %s", register.ErrAbsent, r.key)
	}
	return register.Entry{
		Value: resp.Kvs[0].Value, ModRev: resp.Kvs[0].ModRevision,
		Version: register.Version{Cluster: resp.Header.ClusterId, Revision: resp.Header.Revision},
	}, nil
}

// Swap is one transaction: compare bytes and revision, then put, else read.
func (r *Register) Swap(ctx context.Context, prev register.Entry, next []byte) (register.Entry, bool, error) {
	return r.txn(ctx, next,
		clientv3.Compare(clientv3.Value(r.key), "=", string(prev.Value)),
		clientv3.Compare(clientv3.ModRevision(r.key), "=", prev.ModRev))
}

// Create is one transaction: put if there is nothing.
func (r *Register) Create(ctx context.Context, first []byte) (register.Entry, bool, error) {
	return r.txn(ctx, first, clientv3.Compare(clientv3.CreateRevision(r.key), "=", 0))
}

func (r *Register) txn(ctx context.Context, next []byte, when ...clientv3.Cmp) (register.Entry, bool, error) {
	var resp *clientv3.TxnResponse
	err := r.each(ctx, func(ctx context.Context, c *clientv3.Client) (err error) {
		resp, err = c.Txn(ctx).If(when...).Then(clientv3.OpPut(r.key, string(next))).Else(clientv3.OpGet(r.key)).Commit()
		return err
	})
	if err != nil {
		return register.Entry{}, false, err
	}
	version := register.Version{Cluster: resp.Header.ClusterId, Revision: resp.Header.Revision}
	if resp.Succeeded {
		return register.Entry{Value: next, ModRev: resp.Header.Revision, Version: version}, true, nil
	}
	kvs := resp.Responses[0].GetResponseRange().Kvs
	if len(kvs) == 0 {
		return register.Entry{}, false, fmt.Errorf("%w under %s", register.ErrAbsent, r.key)
	}
	now := register.Entry{Value: kvs[0].Value, ModRev: kvs[0].ModRevision, Version: version}
	return now, bytes.Equal(now.Value, next), nil // equal: an earlier try of this call was applied, and its answer was lost
}
