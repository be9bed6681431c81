package doctor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"highwater/failover/moment"
	"highwater/internal/checklist"
	"highwater/internal/config"
	"highwater/internal/daemon"
	"highwater/operate"
	"highwater/register"
	"highwater/register/etcd"
)

// registerPage is where each fault of a register is explained.
const (
	registerPage = "see docs/register.md"
	wentBack     = `nobody may sign by the record; see "A register that went back" in docs/register.md`
)

// Register looks at the members of the register one by one, and at the record. Register writes nothing; nil without
// [register]. st is the status of the instance, which holds the memory of the register.
func Register(ctx context.Context, cfg *config.Config, st operate.Status) []checklist.Line {
	if !cfg.Shared() {
		return nil
	}
	r, err := daemon.OpenRegister(cfg, 0, slog.New(slog.DiscardHandler))
	if err != nil {
		return []checklist.Line{checklist.Failed(checklist.RegisterRecord, err)}
	}
	members := r.Survey(ctx)
	entry, err := r.Read(ctx)
	out := judgeMembers(members, seenBy(st).Cluster)
	out = append(append(out, judgeAccess(cfg, members)), judgeRecord(cfg, st, entry, err), judgeAhead(cfg.Register.Ahead))
	if err = r.Close(); err != nil {
		out = append(out, checklist.Failed(checklist.RegisterRecord, err))
	}
	return out
}

func seenBy(st operate.Status) register.Seen {
	if st.Register == nil {
		return register.Seen{}
	}
	return st.Register.Seen
}

// judgeMembers gives a line for each endpoint, and for the number of endpoints. want is the cluster of the record;
// zero: the cluster of the first member.
func judgeMembers(members []etcd.Member, want uint64) (out []checklist.Line) {
	answered := 0
	for _, m := range members {
		if m.Err == nil {
			answered++
			if want == 0 {
				want = m.Cluster
			}
		}
		out = append(out, judgeMember(m, want).Named("register "+m.Endpoint))
	}
	if answered*2 <= len(members) { // the record needs a majority: a member that is away alone is no fault of the right
		for i, m := range members {
			if m.Err != nil {
				out[i].Result = checklist.Bad
			}
		}
	}
	if line, odd := judgeNumber(members); odd {
		out = append(out, line.Named("register members"))
	}
	return out
}

// judgeNumber compares the endpoints with the members of the cluster; false: nothing is odd.
func judgeNumber(members []etcd.Member) (checklist.Line, bool) {
	endpoint, most := map[uint64]string{}, 0
	for _, m := range members {
		if m.Err != nil || m.ID == 0 {
			continue
		}
		if first, twice := endpoint[m.ID]; twice {
			return checklist.New(checklist.RegisterMember, checklist.Warning,
				fmt.Sprintf("%s and %s are the same member", first, m.Endpoint),
				"name an endpoint of each member in register.endpoints"), true
		}
		endpoint[m.ID], most = m.Endpoint, max(most, m.Of)
	}
	switch named := len(members); {
	case named < 3:
		return checklist.New(checklist.RegisterMember, checklist.Warning,
			fmt.Sprintf("members named: %d; signing ends when a single member is away", named),
			"run three members at three places, and name all three in register.endpoints"), true
	case most > 0 && most != named:
		return checklist.New(checklist.RegisterMember, checklist.Warning,
			fmt.Sprintf("members named: %d; the cluster has %d", named, most),
			"name an endpoint of each member in register.endpoints, here and on the other machines"), true
	case most > 0 && most%2 == 0:
		return checklist.New(checklist.RegisterMember, checklist.Warning,
			fmt.Sprintf("%d members bear the loss of %d, as %d members do", most, (most-1)/2, most-1),
			"run an odd number of members: etcdctl member remove, or a further member"), true
	}
	return checklist.Line{}, false
}

func judgeMember(m etcd.Member, want uint64) checklist.Line {
	const id = checklist.RegisterMember
	switch {
	case m.Err != nil:
		return checklist.New(id, checklist.Warning, "the member does not answer: "+m.Err.Error(),
			"does etcd run, and is the certificate good on both sides? "+registerPage)
	case m.Cluster != want:
		return checklist.New(id, checklist.Bad,
			fmt.Sprintf("the member belongs to cluster %x, and the record is in cluster %x", m.Cluster, want),
			"correct register.endpoints")
	case len(m.Alarms) > 0:
		return checklist.New(id, checklist.Bad, fmt.Sprintf("etcd %s: alarm %s", m.Version, strings.Join(m.Alarms, ", ")),
			"compact, defragment, etcdctl alarm disarm; "+registerPage)
	case !m.Led:
		return checklist.New(id, checklist.Bad, fmt.Sprintf("etcd %s: the member knows no leader", m.Version),
			"does a majority of the members run, and do the members reach each other?")
	}
	return checklist.Good(id, "etcd %s, in cluster %x, with a leader", m.Version, m.Cluster)
}

// judgeAccess tells the permissions of the certificate's user, by the first member with an answer.
func judgeAccess(cfg *config.Config, members []etcd.Member) checklist.Line {
	const id = checklist.RegisterAccess
	key := cfg.RegisterKey()
	for _, m := range members {
		for act, err := range map[string]error{"read": m.Read, "write": m.Write} {
			if etcd.Forbidden(err) {
				return checklist.New(id, checklist.Bad, fmt.Sprintf("the certificate's user may not %s %s: %v", act, key, err),
					"etcdctl role grant-permission highwater readwrite "+key+"; the user's name is the certificate's common name")
			}
		}
		if etcd.Full(m.Write) {
			return checklist.New(id, checklist.Bad, fmt.Sprintf("the register is full: %v", m.Write),
				"compact, defragment, etcdctl alarm disarm; "+registerPage)
		}
	}
	for _, m := range members {
		if m.Err != nil || m.Read != nil || m.Write != nil {
			continue
		}
		if m.Wide {
			return checklist.New(id, checklist.Warning, "read and write of the record, and of further keys",
				"give the user a role for "+key+" alone: highwater register init --help")
		}
		return checklist.Good(id, "read and write of the record, and of no further key")
	}
	return checklist.New(id, checklist.Bad, "no member lets the record be read and written now", registerPage)
}

// judgeRecord compares the record with the memory of this instance, and names the owner.
func judgeRecord(cfg *config.Config, st operate.Status, e register.Entry, err error) checklist.Line {
	const id = checklist.RegisterRecord
	seen := seenBy(st)
	switch {
	case errors.Is(err, register.ErrAbsent) && seen.Cluster == 0:
		return checklist.New(id, checklist.Bad, err.Error(), "highwater register init, at the instance that signs now")
	case errors.Is(err, register.ErrAbsent):
		return checklist.New(id, checklist.Bad,
			err.Error()+", and a record was seen: the record was deleted, or another etcd answers", wentBack)
	case errors.Is(err, register.ErrRefused):
		return checklist.New(id, checklist.Bad, err.Error(), registerPage)
	case err != nil:
		return checklist.New(id, checklist.Bad, "the register does not answer: "+err.Error(), registerPage)
	}
	rec, err := register.Parse(e.Value)
	if err == nil && rec.Chain != cfg.ChainID {
		err = fmt.Errorf("the record is for chain %s, and `chain` is %s", rec.Chain, cfg.ChainID)
	}
	if err != nil {
		return checklist.New(id, checklist.Bad, err.Error(), "another register.name for another group of keys")
	}
	if err = register.Older(seen, e.Version, rec); err != nil {
		return checklist.New(id, checklist.Bad, err.Error(), wentBack)
	}
	return checklist.Good(id, "%s, epoch %d, up to level %d", ownerOf(rec, st), rec.Epoch, rec.Horizon)
}

func ownerOf(rec register.Record, st operate.Status) string {
	switch {
	case rec.Released():
		return "nobody has the right to sign: the right was released"
	case fmt.Sprintf("%x", rec.Owner[:]) == st.Instance:
		return "this instance has the right to sign"
	}
	return "the instance " + rec.Owner.Short() + " has the right to sign"
}

// Bounds of `ahead`: below the first an election in the register costs signatures, above the second a takeover costs
// minutes.
const (
	fewAhead  = 2
	manyAhead = 20
)

// judgeAhead compares `ahead` with the time of a level. No clock is asked: levels alone decide.
func judgeAhead(ahead int32) checklist.Line {
	const id = checklist.RegisterAhead
	span := moment.BlockTime * time.Duration(ahead)
	text := fmt.Sprintf("%d levels (%s): the longest absence of the register without a loss, and about the time of a "+
		"takeover", ahead, span)
	switch {
	case ahead < fewAhead:
		return checklist.New(id, checklist.Warning, text, "2 or more: an election among the members takes up to 3 s")
	case ahead > manyAhead:
		return checklist.New(id, checklist.Warning, text, "a smaller number: nobody signs during a takeover")
	}
	return checklist.Good(id, "%s", text)
}
