package etcd

import (
	"context"
	"fmt"
	"strings"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Member is the state of one endpoint, asked for alone.
type Member struct {
	Endpoint string
	Version  string   // of the server
	Cluster  uint64   // the identity of the member's cluster
	ID       uint64   // of the member
	Of       int      // how many members with a vote the cluster has; zero: not told
	Led      bool     // the member knows a leader
	Alarms   []string // such as NOSPACE and CORRUPT
	Err      error    // the endpoint gave no answer
	// Read and Write are nil if the certificate's user may read and write the record here, and a majority answers.
	Read, Write error
	// Wide: the certificate's user may read a key beside the record.
	Wide bool
}

// Survey asks each endpoint alone, all at the same time, and changes nothing.
func (r *Register) Survey(ctx context.Context) []Member {
	out := make([]Member, len(r.members))
	var asked sync.WaitGroup
	for i, m := range r.members {
		asked.Go(func() { out[i] = r.survey(ctx, m) })
	}
	asked.Wait()
	return out
}

func (r *Register) survey(ctx context.Context, m *member) Member {
	out := Member{Endpoint: m.endpoint}
	err := bounded(ctx, func(ctx context.Context) error {
		st, err := m.client.Status(ctx, m.endpoint)
		if err != nil {
			return err
		}
		out.Version, out.Cluster, out.Led = st.Version, st.Header.GetClusterId(), st.Leader != 0
		out.ID = st.Header.GetMemberId()
		for _, text := range st.Errors {
			if _, name, found := strings.Cut(text, "alarm:"); found {
				out.Alarms = append(out.Alarms, strings.TrimSpace(name))
			}
		}
		return nil
	})
	if err != nil {
		out.Err = m.cause(err)
		return out
	}
	m.link.note(nil)
	out.Of = voters(ctx, m.client)
	out.Read = bounded(ctx, func(ctx context.Context) error {
		_, err := m.client.Get(ctx, r.key)
		return err
	})
	out.Write = bounded(ctx, func(ctx context.Context) error { return r.mayWrite(ctx, m.client) })
	out.Wide = bounded(ctx, func(ctx context.Context) error {
		_, err := m.client.Get(ctx, r.key+"-beside")
		return err
	}) == nil
	return out
}

// voters counts the members with a vote; zero: the member does not tell.
func voters(ctx context.Context, c *clientv3.Client) (n int) {
	_ = bounded(ctx, func(ctx context.Context) error { // asked for a hint only
		list, err := c.MemberList(ctx)
		if err != nil {
			return err
		}
		for _, m := range list.Members {
			if !m.IsLearner {
				n++
			}
		}
		return nil
	})
	return n
}

// mayWrite asks for a write under a condition that never holds: no revision is below zero. etcd looks at the permission
// all the same.
func (r *Register) mayWrite(ctx context.Context, c *clientv3.Client) error {
	never := clientv3.Compare(clientv3.ModRevision(r.key), "<", 0)
	resp, err := c.Txn(ctx).If(never).Then(clientv3.OpPut(r.key, "")).Commit()
	if err == nil && resp.Succeeded {
		err = fmt.Errorf("%s was written under a condition that never holds", r.key)
	}
	return err
}

// bounded gives a question the time of one try.
func bounded(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	return ask(ctx)
}
