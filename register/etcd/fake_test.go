package etcd_test

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"

	"highwater/register"
	"highwater/register/etcd"
)

// fake is a cluster in memory, whose first member applies each write and gives no answer.
type fake struct {
	mu      sync.Mutex
	value   []byte
	rev     int64
	ranges  []*pb.RangeRequest
	applied int
}

// fakeMember is a member of a fake.
type fakeMember struct {
	pb.UnimplementedKVServer
	cluster *fake
	mute    bool
}

func (f *fake) header() *pb.ResponseHeader { return &pb.ResponseHeader{ClusterId: 7, Revision: f.rev} }

func (f *fake) get() *pb.RangeResponse {
	return &pb.RangeResponse{Header: f.header(), Kvs: []*mvccpb.KeyValue{{Value: f.value, ModRevision: f.rev}}}
}

func (m *fakeMember) Range(_ context.Context, req *pb.RangeRequest) (*pb.RangeResponse, error) {
	m.cluster.mu.Lock()
	defer m.cluster.mu.Unlock()
	m.cluster.ranges = append(m.cluster.ranges, req)
	return m.cluster.get(), nil
}

func (m *fakeMember) Txn(ctx context.Context, req *pb.TxnRequest) (*pb.TxnResponse, error) {
	out := m.cluster.txn(req)
	if m.mute {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return out, nil
}

func (f *fake) txn(req *pb.TxnRequest) *pb.TxnResponse {
	f.mu.Lock()
	defer f.mu.Unlock()
	equal := true
	for _, c := range req.GetCompare() {
		equal = equal && (bytes.Equal(c.GetValue(), f.value) || c.GetModRevision() == f.rev)
	}
	if !equal {
		return &pb.TxnResponse{Header: f.header(), Responses: []*pb.ResponseOp{
			{Response: &pb.ResponseOp_ResponseRange{ResponseRange: f.get()}},
		}}
	}
	f.rev++
	f.applied++
	f.value = req.GetSuccess()[0].GetRequestPut().GetValue()
	return &pb.TxnResponse{Header: f.header(), Succeeded: true}
}

// serve gives the endpoint of a member.
func (f *fake) serve(t *testing.T, mute bool) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv, over := grpc.NewServer(), make(chan error, 1)
	pb.RegisterKVServer(srv, &fakeMember{cluster: f, mute: mute})
	go func() { over <- srv.Serve(l) }()
	t.Cleanup(func() {
		srv.Stop()
		require.NoError(t, <-over)
	})
	return "http://" + l.Addr().String()
}

// TestAWriteThatWasAppliedAtTheFirstTry loses the answer of the first member. The second member shows the written bytes:
// the write has succeeded, once.
func TestAWriteThatWasAppliedAtTheFirstTry(t *testing.T) {
	t.Parallel()
	f := &fake{value: []byte("a"), rev: 3}
	r, err := etcd.Open(etcd.Config{Endpoints: []string{f.serve(t, true), f.serve(t, false)}, Key: "/highwater/fake"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	now, swapped, err := r.Swap(t.Context(), register.Entry{Value: []byte("a"), ModRev: 3}, []byte("b"))
	require.NoError(t, err)
	require.True(t, swapped, "an owner would take its own write for another's")
	require.Equal(t, register.Entry{
		Value: []byte("b"), ModRev: 4, Version: register.Version{Cluster: 7, Revision: 4},
	}, now)
	require.Equal(t, 1, f.applied)
}

func TestEachReadIsLinearizable(t *testing.T) {
	t.Parallel()
	f := &fake{value: []byte("a"), rev: 3}
	r, err := etcd.Open(etcd.Config{Endpoints: []string{f.serve(t, false)}, Key: "/highwater/fake"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	_, err = r.Read(t.Context())
	require.NoError(t, err)
	require.Len(t, f.ranges, 1)
	require.False(t, f.ranges[0].GetSerializable(), "a serializable read tells of a record of the past")
}
