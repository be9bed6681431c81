package etcd_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"highwater/register"
	"highwater/register/etcd"
	"highwater/test/harness"
)

// plain is a client of its own, for what an operator of etcd does.
func plain(t *testing.T, endpoint string) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func TestASurveyAsksEachMemberAlone(t *testing.T) {
	endpoint, dead := start(t), "http://"+harness.Address(t)
	r := open(t, etcd.Config{Endpoints: []string{dead, endpoint}, Key: "/highwater/survey"})
	_, _, err := r.Create(t.Context(), []byte("first"))
	require.NoError(t, err)
	before, err := r.Read(t.Context())
	require.NoError(t, err)

	members := r.Survey(t.Context())
	require.Len(t, members, 2)
	require.Error(t, members[0].Err)
	m := members[1]
	require.NoError(t, m.Err)
	require.NoError(t, m.Read)
	require.NoError(t, m.Write)
	require.True(t, m.Led)
	require.True(t, m.Wide, "without permissions a client may read everything")
	require.Empty(t, m.Alarms)
	require.Equal(t, before.Version.Cluster, m.Cluster)
	require.Regexp(t, `^3\.\d+\.\d+$`, m.Version)

	after, err := r.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, before, after, "a survey wrote to the register")
}

func TestASurveyTellsOfAMissingPermission(t *testing.T) {
	endpoint := start(t)
	r := open(t, etcd.Config{Endpoints: []string{endpoint}, Key: "/highwater/mine"})
	root := plain(t, endpoint)
	_, err := root.UserAdd(t.Context(), "root", "secret")
	require.NoError(t, err)
	_, err = root.UserGrantRole(t.Context(), "root", "root")
	require.NoError(t, err)
	_, err = root.AuthEnable(t.Context())
	require.NoError(t, err)

	m := r.Survey(t.Context())[0]
	require.True(t, etcd.Forbidden(m.Read), "%v", m.Read)
	require.True(t, etcd.Forbidden(m.Write), "%v", m.Write)
	require.False(t, m.Wide)
}

func TestASurveyTellsOfAFullRegister(t *testing.T) {
	endpoint := start(t, "--quota-backend-bytes", "1048576")
	r := open(t, etcd.Config{Endpoints: []string{endpoint}, Key: "/highwater/full"})
	c := plain(t, endpoint)
	var err error
	for range 20 {
		if _, err = c.Put(t.Context(), "/other", strings.Repeat("x", 500_000)); err != nil {
			break
		}
	}
	require.True(t, etcd.Full(err), "%v", err)
	m := r.Survey(t.Context())[0]
	require.NoError(t, m.Err)
	require.True(t, etcd.Full(m.Write), "%v", m.Write)
	require.Contains(t, m.Alarms, "NOSPACE")
	_, err = r.Read(t.Context())
	require.ErrorIs(t, err, register.ErrAbsent, "reads go on")
}

func TestARefusalSaysWhatToDo(t *testing.T) {
	endpoint := start(t, "--quota-backend-bytes", "1048576")
	r := open(t, etcd.Config{Endpoints: []string{endpoint}, Key: "/highwater/full"})
	e, _, err := r.Create(t.Context(), []byte("first"))
	require.NoError(t, err)
	c := plain(t, endpoint)
	for range 20 {
		if _, err = c.Put(t.Context(), "/other", strings.Repeat("x", 500_000)); err != nil {
			break
		}
	}
	_, _, err = r.Swap(t.Context(), e, []byte("second"))
	require.ErrorIs(t, err, register.ErrRefused)
	require.ErrorContains(t, err, "etcd is full (compact, defragment, etcdctl alarm disarm)")

	_, err = c.AlarmDisarm(t.Context(), &clientv3.AlarmMember{})
	require.NoError(t, err)
	_, err = c.UserAdd(t.Context(), "root", "secret")
	require.NoError(t, err)
	_, err = c.UserGrantRole(t.Context(), "root", "root")
	require.NoError(t, err)
	_, err = c.AuthEnable(t.Context())
	require.NoError(t, err)
	_, err = r.Read(t.Context())
	require.ErrorIs(t, err, register.ErrRefused)
	require.ErrorContains(t, err, "may not read and write /highwater/full (see: highwater check)")
}
