package wire

import (
	"crypto"
	"crypto/ed25519"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"highwater/hwm"
	"highwater/internal/loghead"
	"highwater/internal/tezos"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// identity is a key of the tests, which nobody else uses.
func identity(seed byte) (crypto.Signer, hwm.InstanceID) {
	key := ed25519.NewKeyFromSeed(append([]byte{seed}, make([]byte, ed25519.SeedSize-1)...))
	return key, hwm.InstanceID(key.Public().(ed25519.PublicKey))
}

func number[N any](n N) *N { return &n }

func pkh(t testing.TB) tezos.PublicKeyHash {
	out, err := tezos.ParsePublicKeyHash("tz1VSUr8wwNhLAzempoch5d6hLRiTh8Cjcjb")
	require.NoError(t, err)
	return out
}

func hello(seed byte) Hello {
	_, me := identity(seed)
	return Hello{
		Protocol: Protocol, Chain: tezos.ChainID{1, 2, 3, 4}, From: me, Life: "0123456789abcdef", Role: hwm.Active, Epoch: 7,
		Owner:   me,
		Signing: true, Now: time.Date(2026, 5, 4, 2, 2, 1, 5e6, time.UTC),
	}
}

func question() Question {
	_, other := identity(2)
	return Question{Hello: hello(1), To: other, Nonce: "00112233", Seen: 6}
}

func marks(t testing.TB) []Mark {
	return []Mark{
		{pkh(t), tezos.Block, 1000, 0, hwm.SourceSigned}, {pkh(t), tezos.Attestation, 1000, hwm.MaxRound, hwm.SourcePeer},
	}
}

func certificate(t testing.TB) *Certificate {
	key, from := identity(2)
	_, to := identity(1)
	c, err := Certificate{
		Protocol: Protocol, Chain: tezos.ChainID{1, 2, 3, 4}, From: from, To: to, Epoch: 8, Level: number(int32(1005)),
		Marks: marks(t), AuditHead: &loghead.Head{Record: 48211, Link: loghead.Hash{9}}, When: hello(2).Now,
	}.Sign(key)
	require.NoError(t, err)
	return c
}

// answers are one of each kind.
func answers(t testing.TB) []Answer {
	status, given, invited, refused := Answer{Hello: hello(2), Nonce: "00112233"}, Answer{Hello: hello(2)},
		Answer{Hello: hello(2)}, Answer{Hello: hello(2)}
	status.Status = &Report{
		Why: "active", Since: hello(2).Now, Seen: 7, Marks: marks(t), Keys: []KeyReport{{pkh(t), "ready"}},
		Head: number(int32(1001)), Build: "test",
		SignsUpTo: number(int32(1005)),
	}
	given.Certificate = certificate(t)
	invited.Handover = &Handover{
		Done: true, Findings: []Finding{{"clocks", "warning", "they differ", "timedatectl"}}, From: status.From,
		To: question().From, Epoch: 8,
		At: number(int32(1005)), GapMS: 12.5,
	}
	refused.Refusal = Refuse(NotOwner, "do something", "epoch %d", 8)
	refused.Broken = "its disk"
	return []Answer{status, given, invited, refused}
}

func text(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return b
}

// TestMessagesAreReadAsTheyWereWritten: with all their fields.
func TestMessagesAreReadAsTheyWereWritten(t *testing.T) {
	q, err := Parse[Question](text(t, question()))
	require.NoError(t, err)
	require.Equal(t, question(), q)
	for _, want := range answers(t) {
		got, err := Parse[Answer](text(t, want))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

// TestTheFormOfTheMessages keeps what an instance of an earlier release reads: it refuses a field that it does not
// know.
func TestTheFormOfTheMessages(t *testing.T) {
	require.Equal(t, []string{"at", "done", "epoch", "findings", "from", "gap_ms", "to"},
		fields(t, answers(t)[2].Handover))
	require.Equal(t, []string{"detail", "hint", "name", "result"}, fields(t, answers(t)[2].Handover.Findings[0]))
	require.Equal(t, []string{"activating", "build", "head", "keys", "marks", "seen", "signs_up_to", "since", "why"},
		fields(t, answers(t)[0].Status))
	require.Equal(t, []string{
		"chain", "epoch", "from", "life", "nonce", "now", "owner", "protocol", "role", "seen",
		"signing", "to",
	}, fields(t, question()))
}

// fields are the names in a JSON object, sorted.
func fields(t testing.TB, v any) []string {
	t.Helper()
	var m map[string]any
	require.NoError(t, json.Unmarshal(text(t, v), &m))
	return slices.Sorted(maps.Keys(m))
}

// TestNoEpochNearItsEnd: an epoch after which none could come is no epoch, wherever a message says it. Believed once,
// it would stay the newest.
func TestNoEpochNearItsEnd(t *testing.T) {
	q := question()
	for epoch, want := range map[uint64]bool{MaxEpoch: true, MaxEpoch + 1: false, math.MaxUint64: false} {
		said, heard := q, q
		said.Epoch, heard.Seen = epoch, epoch
		for what, err := range map[string]error{
			"epoch of a question": sound(&said),
			"seen of a question":  sound(&heard),
			"epoch of an answer":  sound(&Answer{Hello: said.Hello}),
			"seen of an answer":   sound(&Answer{Hello: q.Hello, Status: &Report{Seen: epoch}}),
			"a certificate":       (&Certificate{Epoch: epoch, Nonce: "n"}).sound(),
		} {
			require.Equal(t, want, err == nil, "%s, %d", what, epoch)
		}
	}
}

// TestAMessageNamesItsLife: exactly so.
func TestAMessageNamesItsLife(t *testing.T) {
	q := question()
	require.True(t, soundLife(NewLife()))
	require.NotEqual(t, NewLife(), NewLife())
	for _, name := range []string{"", "0", "0123456789ABCDEF", "0123456789abcdef00", "0123456789abcdeg"} {
		q.Life = name
		require.Error(t, sound(&q), name)
		require.Error(t, sound(&Answer{Hello: q.Hello}), name)
	}
}

// TestALaterVersion: its messages are a refusal, whatever else is in them.
func TestALaterVersion(t *testing.T) {
	_, err := Parse[Question]([]byte(`{"protocol": 3, "something": "new"}`))
	var r *Refusal
	require.ErrorAs(t, err, &r)
	require.Equal(t, WrongVersion, r.Reason)
	require.True(t, IsRefusal(err))
	require.Equal(t, r, AsRefusal(err))
	require.Equal(t, Broken, AsRefusal(json.Unmarshal([]byte("x"), r)).Reason)
}

// TestTheHeadOfACertificate: optional, under the signature, and read strictly.
func TestTheHeadOfACertificate(t *testing.T) {
	c := certificate(t)
	good, err := EncodeCertificate(c)
	require.NoError(t, err)
	read, err := ParseCertificate(good)
	require.NoError(t, err)
	require.Equal(t, c.AuditHead, read.AuditHead)
	require.NoError(t, read.Verify())
	read.AuditHead = nil
	require.Error(t, read.Verify(), "taken out")

	key, _ := identity(2)
	old := *c
	old.AuditHead = nil
	signed, err := old.Sign(key)
	require.NoError(t, err)
	without, err := EncodeCertificate(signed)
	require.NoError(t, err)
	require.NotContains(t, string(without), "audit_head")
	read, err = ParseCertificate(without)
	require.NoError(t, err)
	require.NoError(t, read.Verify())

	link := c.AuditHead.Link.String()
	for was, now := range map[string]string{
		"48211": "0", `"record": 48211`: `"record": 9007199254740993`, link: link[2:], link[:3]: "zzz", `"link"`: `"hash"`,
	} {
		require.Contains(t, string(good), was)
		_, err := ParseCertificate([]byte(strings.Replace(string(good), was, now, 1)))
		require.Error(t, err, now)
	}
}
