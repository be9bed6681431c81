package doctor

import (
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/checklist"
	"highwater/internal/config"
	"highwater/internal/tezos"
	"highwater/operate"
	"highwater/register"
	"highwater/register/etcd"
)

func sharedConfig(endpoints ...string) *config.Config {
	return &config.Config{
		ChainID: tezos.ChainID{1}, Register: config.Register{Endpoints: endpoints, Name: "bakery", Ahead: 3},
	}
}

func healthy(name string) etcd.Member {
	return etcd.Member{Endpoint: name, Version: "3.6.1", Cluster: 7, Led: true}
}

func TestEachMemberIsJudgedAlone(t *testing.T) {
	away, foreign, full, alone := healthy("a"), healthy("a"), healthy("a"), healthy("a")
	away.Err, foreign.Cluster, full.Alarms, alone.Led = errors.New("refused"), 8, []string{"NOSPACE"}, false
	for _, c := range []struct {
		member etcd.Member
		result checklist.Result
		detail string
	}{
		{healthy("a"), checklist.OK, "etcd 3.6.1, in cluster 7, with a leader"},
		{away, checklist.Warning, "does not answer: refused"},
		{foreign, checklist.Bad, "the member belongs to cluster 8, and the record is in cluster 7"},
		{full, checklist.Bad, "alarm NOSPACE"},
		{alone, checklist.Bad, "knows no leader"},
	} {
		out := judgeMembers([]etcd.Member{healthy("b"), c.member, healthy("c")}, 7)
		require.Len(t, out, 3)
		require.Equal(t, checklist.OK, out[0].Result)
		require.Equal(t, c.result, out[1].Result, out[1].Detail)
		require.Equal(t, "register a", out[1].Name)
		require.Contains(t, out[1].Detail, c.detail)
	}
	out := judgeMembers([]etcd.Member{away, healthy("b"), away}, 7)
	require.Equal(t, checklist.Bad, out[0].Result, "without a majority nothing is signed")
	require.Len(t, judgeMembers([]etcd.Member{healthy("b")}, 0), 2, "a single member is no register of three places")
}

// TestTheNumberOfMembers compares the endpoints with the cluster: an endpoint is forgotten, or named twice, or the
// cluster's number of members was changed.
func TestTheNumberOfMembers(t *testing.T) {
	cluster := func(of int, ids ...uint64) (out []etcd.Member) {
		for i, id := range ids {
			m := healthy(string(rune('a' + i)))
			m.ID, m.Of = id, of
			out = append(out, m)
		}
		return out
	}
	for _, c := range []struct {
		members []etcd.Member
		detail  string // empty: nothing is odd
	}{
		{cluster(3, 1, 2, 3), ""},
		{cluster(0, 1, 2, 3), ""},
		{cluster(3, 1, 2, 1), "a and c are the same member"},
		{cluster(3, 1, 2), "members named: 2; signing ends when a single member is away"},
		{cluster(5, 1, 2, 3), "members named: 3; the cluster has 5"},
		{cluster(4, 1, 2, 3, 4), "4 members bear the loss of 1, as 3 members do"},
	} {
		out := judgeMembers(c.members, 7)[len(c.members):]
		if c.detail == "" {
			require.Empty(t, out)
			continue
		}
		require.Len(t, out, 1)
		require.Equal(t, checklist.Warning, out[0].Result)
		require.Equal(t, c.detail, out[0].Detail)
	}
}

func TestAccessToTheRecord(t *testing.T) {
	cfg := sharedConfig("http://127.0.0.1:1")
	reader, full, wide, silent := healthy("a"), healthy("a"), healthy("a"), healthy("a")
	reader.Write, full.Write, wide.Wide = etcd.ErrForbidden, etcd.ErrFull, true
	silent.Err = errors.New("refused")
	for _, c := range []struct {
		member etcd.Member
		result checklist.Result
		detail string
	}{
		{healthy("a"), checklist.OK, "no further key"},
		{reader, checklist.Bad, "may not write /highwater/" + cfg.ChainID.String() + "/bakery"},
		{full, checklist.Bad, "the register is full"},
		{wide, checklist.Warning, "further keys"},
		{silent, checklist.Bad, "no member"},
	} {
		l := judgeAccess(cfg, []etcd.Member{c.member})
		require.Equal(t, c.result, l.Result, l.Detail)
		require.Contains(t, l.Detail, c.detail)
	}
}

func TestTheRecordIsComparedWithTheMemory(t *testing.T) {
	cfg, me := sharedConfig("http://127.0.0.1:1"), hwm.InstanceID{9}
	st := operate.Status{Instance: hex.EncodeToString(me[:])}
	known := st
	known.Register = &register.View{Seen: register.Seen{Cluster: 7, Revision: 50, Epoch: 4, Horizon: 100}}
	entry := func(chain tezos.ChainID, epoch uint64, revision int64) register.Entry {
		return register.Entry{
			Value: register.First(chain, epoch, 200, nil), Version: register.Version{Cluster: 7, Revision: revision},
		}
	}
	for _, c := range []struct {
		st     operate.Status
		entry  register.Entry
		err    error
		result checklist.Result
		detail string
	}{
		{
			known, entry(cfg.ChainID, 8, 60), nil, checklist.OK,
			"nobody has the right to sign: the right was released, epoch 9",
		},
		{st, register.Entry{}, fmt.Errorf("%w under /x", register.ErrAbsent), checklist.Bad, "holds no record under /x"},
		{known, register.Entry{}, register.ErrAbsent, checklist.Bad, "a record was seen"},
		{known, register.Entry{}, errors.New("refused"), checklist.Bad, "does not answer: refused"},
		{
			known,
			register.Entry{},
			fmt.Errorf("a: %w: permission denied", register.ErrRefused), checklist.Bad,
			"a: the register refuses: permission denied",
		},
		{known, entry(cfg.ChainID, 8, 49), nil, checklist.Bad, "revision 49, and revision 50 was seen"},
		{known, entry(cfg.ChainID, 1, 60), nil, checklist.Bad, "epoch 2, and epoch 4 was seen"},
		{known, entry(tezos.ChainID{2}, 8, 60), nil, checklist.Bad, "the record is for chain"},
		{known, register.Entry{Value: []byte("x")}, nil, checklist.Bad, "cannot be read"},
	} {
		l := judgeRecord(cfg, c.st, c.entry, c.err)
		require.Equal(t, c.result, l.Result, l.Detail)
		require.Contains(t, l.Detail, c.detail)
		require.Equal(t, c.result == checklist.OK, l.Hint == "", l.Detail)
	}
	require.Contains(t, ownerOf(register.Record{Owner: me}, st), "this instance")
	require.Contains(t, ownerOf(register.Record{Owner: hwm.InstanceID{8}}, st), "the instance 08")
}

func TestAheadIsComparedWithTheTimeOfALevel(t *testing.T) {
	require.Equal(t, checklist.OK, judgeAhead(3).Result)
	require.Contains(t, judgeAhead(3).Detail, "3 levels (18s)")
	require.Equal(t, checklist.Warning, judgeAhead(1).Result)
	require.Equal(t, checklist.Warning, judgeAhead(21).Result)
}

func TestARegisterThatIsAwayIsBad(t *testing.T) {
	require.Empty(t, Register(t.Context(), &config.Config{}, operate.Status{}), "nothing is said without [register]")
	cfg := sharedConfig("http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3")
	for _, l := range Register(t.Context(), cfg, operate.Status{}) {
		require.Equal(t, l.ID == checklist.RegisterAhead, l.Result.Passed(), l.Detail)
	}
}
