// Package etcd is a register.Backend on etcd (servers v3.4 to v3.7).
//
// Each member has a client of its own. A call tries a member for a second at most, and goes on with the next member on
// an error: a client with all endpoints keeps sending requests into a silent member. A repeated swap compares with the
// same record, and is applied once at the most. The bytes tell whether an earlier try was applied.
package etcd

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"highwater/register"
)

// Config names a register.
type Config struct {
	Endpoints []string // an endpoint a member: https://host:2379
	Key       string   // of the record
	TLS       *TLS     // nil: without
	// Cluster is the required identity of the servers; zero: the identity in the first answer.
	Cluster uint64
}

// tryTimeout is how long a member may take for a request. A healthy member takes some milliseconds, a member with a
// slow disk some 100.
const tryTimeout = time.Second

// minKeepalive is the least value of the client library; the library raises a lower value in silence.
const minKeepalive = 10 * time.Second

// Register is a record in etcd, safe for concurrent use. Close ends its connections.
type Register struct {
	key     string
	members []*member
	tls     *TLS

	mu      sync.Mutex
	first   int    // the last member with an answer
	cluster uint64 // zero: not known yet
}

type member struct {
	endpoint string
	client   *clientv3.Client
	link     *link
}

// Open makes the clients, and waits for no member.
func Open(cfg Config) (*Register, error) {
	if len(cfg.Endpoints) == 0 {
		return nil, errors.New("no endpoint of the register is given")
	}
	r := &Register{key: cfg.Key, tls: cfg.TLS, cluster: cfg.Cluster}
	if cfg.TLS != nil {
		if err := cfg.TLS.open(); err != nil {
			return nil, err
		}
	}
	for _, endpoint := range cfg.Endpoints {
		tlsConfig, err := tlsFor(cfg.TLS, endpoint)
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		way := &link{tls: tlsConfig}
		client, err := clientv3.New(clientv3.Config{
			Endpoints: []string{endpoint}, TLS: tlsConfig, Logger: zap.NewNop(), DialOptions: way.options(),
			DialKeepAliveTime: minKeepalive, DialKeepAliveTimeout: 3 * time.Second, MaxUnaryRetries: 1,
		})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", endpoint, err), r.Close())
		}
		r.members = append(r.members, &member{endpoint, client, way})
	}
	return r, nil
}

// tlsFor is the TLS of one member; nil: none.
func tlsFor(t *TLS, endpoint string) (*tls.Config, error) {
	u, err := url.Parse(endpoint)
	if err != nil || t == nil || u.Scheme == "http" {
		return nil, err //nolint:nilnil // no TLS is no error
	}
	return t.config(u.Hostname()), nil
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

// each tries member after member, beginning with the last member to answer, until an answer comes or ctx ends. The
// error names every member. An answer from another cluster is no answer: the client library does not look at the
// cluster.
func (r *Register) each(
	ctx context.Context, try func(context.Context, *clientv3.Client) (*pb.ResponseHeader, error),
) error {
	r.mu.Lock()
	first := r.first
	r.mu.Unlock()
	var faults membersError
	for i := range r.members {
		at := (first + i) % len(r.members)
		m := r.members[at]
		one, cancel := context.WithTimeout(ctx, tryTimeout)
		header, err := try(one, m.client)
		cancel()
		if err == nil {
			if err = r.answered(at, header); err == nil {
				return nil
			}
		}
		faults = append(faults, memberError{m.endpoint, r.refused(m.cause(err))})
		if ctx.Err() != nil {
			break
		}
	}
	if allForeign(faults, len(r.members)) {
		return fmt.Errorf("%w: %w", register.ErrOlder, faults)
	}
	return faults
}

// foreignError: a member belongs to another cluster than the record.
type foreignError struct{ have, want uint64 }

func (e *foreignError) Error() string {
	return fmt.Sprintf("the member belongs to cluster %x, and the record is in cluster %x", e.have, e.want)
}

// allForeign tells whether every member answered, and from another cluster: a single wrong endpoint counts as a silent
// member.
func allForeign(faults membersError, members int) bool {
	for _, m := range faults {
		var foreign *foreignError
		if !errors.As(m.err, &foreign) {
			return false
		}
	}
	return len(faults) == members
}

// answered remembers the answering member, and refuses an answer from another cluster.
func (r *Register) answered(at int, h *pb.ResponseHeader) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cluster == 0 {
		r.cluster = h.GetClusterId()
	}
	if h.GetClusterId() != r.cluster {
		return &foreignError{h.GetClusterId(), r.cluster}
	}
	r.first = at
	r.members[at].link.note(nil)
	return nil
}

// Read is a linearizable read.
func (r *Register) Read(ctx context.Context) (register.Entry, error) {
	var resp *clientv3.GetResponse
	err := r.each(ctx, func(ctx context.Context, c *clientv3.Client) (*pb.ResponseHeader, error) {
		var err error
		if resp, err = c.Get(ctx, r.key); err != nil {
			return nil, err
		}
		return resp.Header, nil
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

// Create is one transaction: put into an empty place.
func (r *Register) Create(ctx context.Context, first []byte) (register.Entry, bool, error) {
	return r.txn(ctx, first, clientv3.Compare(clientv3.CreateRevision(r.key), "=", 0))
}

func (r *Register) txn(ctx context.Context, next []byte, when ...clientv3.Cmp) (register.Entry, bool, error) {
	var resp *clientv3.TxnResponse
	err := r.each(ctx, func(ctx context.Context, c *clientv3.Client) (*pb.ResponseHeader, error) {
		var err error
		if resp, err = c.Txn(ctx).If(when...).Then(clientv3.OpPut(r.key,
			string(next))).Else(clientv3.OpGet(r.key)).Commit(); err != nil {
			return nil, err
		}
		return resp.Header, nil
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
	// equal: an earlier try of this call was applied, and its answer was lost
	return now, bytes.Equal(now.Value, next), nil
}
