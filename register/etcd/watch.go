package etcd

import (
	"context"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// watchAgain is the pause before another member is watched.
const watchAgain = time.Second

// Watch calls poke when a member tells of a change of the record, until ctx ends. A watch is never believed: after a
// restore a watch may tell of another history, or be silent. A watch only makes the next look come sooner.
func (r *Register) Watch(ctx context.Context, poke func()) {
	for ctx.Err() == nil {
		r.mu.Lock()
		m := r.members[r.first]
		r.mu.Unlock()
		r.watch(ctx, m.client, poke)
		select {
		case <-time.After(watchAgain):
		case <-ctx.Done():
		}
	}
}

func (r *Register) watch(ctx context.Context, c *clientv3.Client, poke func()) {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	for resp := range c.Watch(ctx, r.key) {
		if resp.Err() != nil || resp.Canceled {
			return
		}
		poke()
	}
}
