package register_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/loghead"
	"highwater/register"
	"highwater/register/registertest"
)

var aHead = loghead.Head{Record: 1 << 53, Link: loghead.Hash{0x9f, 0x1c, 31: 7}}

// withHead is a machine's right with a head of its audit log, and what the right heard.
func withHead(reg register.Backend, id byte, h *loghead.Head) (*register.Right, *[]register.Heard) {
	heard := &[]register.Heard{}
	m := &machine{id: hwm.InstanceID{id}}
	return register.New(register.Config{
		Backend: reg, Memory: m, Chain: chain, Me: m.id, Life: "a life", Ahead: ahead,
		AuditHead: func(context.Context) *loghead.Head { return h },
		Heard:     func(h register.Heard) { *heard = append(*heard, h) },
	}), heard
}

// TestAReleaseTellsTheHead: of the audit log, to each other machine, once. The next record has the owner's life again.
func TestAReleaseTellsTheHead(t *testing.T) {
	reg := registertest.New()
	_, _, err := reg.Create(t.Context(), register.First(chain, 0, 100, nil))
	require.NoError(t, err)
	free := func(register.Record) error { return nil }
	first, own := withHead(reg, 1, &aHead)
	second, heard := withHead(reg, 2, nil)
	late, lateHeard := withHead(reg, 3, nil)
	taken, err := first.Acquire(t.Context(), 100, free)
	require.NoError(t, err)
	require.Nil(t, taken.AuditHead())
	_, err = second.Read(t.Context())
	require.NoError(t, err)

	released, err := first.Release(t.Context(), hwm.InstanceID{}, nil)
	require.NoError(t, err)
	require.Equal(t, &aHead, released.AuditHead())
	_, err = late.Read(t.Context())
	require.NoError(t, err)
	for range 2 {
		_, err = second.Read(t.Context())
		require.NoError(t, err)
	}
	next, err := second.Acquire(t.Context(), 100, free)
	require.NoError(t, err)
	require.Equal(t, "a life", next.Life)
	require.Nil(t, next.AuditHead())

	require.Equal(t, []register.Heard{{Head: aHead, From: hwm.InstanceID{1}, Epoch: released.Epoch}}, *heard)
	require.Equal(t, []register.Heard{{Head: aHead, Epoch: released.Epoch}}, *lateHeard, "the owner was not seen")
	require.Empty(t, *own)
	released, err = second.Release(t.Context(), hwm.InstanceID{}, nil)
	require.NoError(t, err)
	require.Empty(t, released.Life, "a machine without an audit log tells no head")
}

// TestALostReleaseKeepsItsHead: Settle releases again with the head of the release.
func TestALostReleaseKeepsItsHead(t *testing.T) {
	reg := registertest.New()
	_, _, err := reg.Create(t.Context(), register.First(chain, 0, 100, nil))
	require.NoError(t, err)
	r, _ := withHead(reg, 1, &aHead)
	_, err = r.Acquire(t.Context(), 100, func(register.Record) error { return nil })
	require.NoError(t, err)
	reg.Fault = func() registertest.Fault { return registertest.Refuse }
	_, err = r.Release(t.Context(), hwm.InstanceID{}, nil)
	require.ErrorIs(t, err, register.ErrUnsettled)
	reg.Fault = nil
	released, err := r.Settle(t.Context())
	require.NoError(t, err)
	require.Equal(t, &aHead, released.AuditHead())
}

// TestEarlierBuildsReadAHead: a record with a head has no field, and no length, that the first build refused.
func TestEarlierBuildsReadAHead(t *testing.T) {
	reg, r := registertest.New(), (*register.Right)(nil)
	_, _, err := reg.Create(t.Context(), register.First(chain, 0, 100, nil))
	require.NoError(t, err)
	r, _ = withHead(reg, 1, &aHead)
	_, err = r.Acquire(t.Context(), 100, func(register.Record) error { return nil })
	require.NoError(t, err)
	_, err = r.Release(t.Context(), hwm.InstanceID{}, []register.Mark{{PKH: key, Kind: 0x12, Level: 101}})
	require.NoError(t, err)
	e, err := reg.Read(t.Context())
	require.NoError(t, err)
	var fields map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(e.Value, &fields))
	for name := range fields {
		require.Contains(t, []string{
			"format", "chain", "owner", "next", "asked", "life", "priority", "epoch", "floor", "horizon", "marks", "nonce",
		}, name)
	}
	require.Greater(t, len(fields["life"]), 2)
	require.LessOrEqual(t, len(fields["life"]), 64+2, "an earlier build reads 64 characters, here with quotes")
}

// TestALifeThatIsNoHead: a bad head is no head, and the record stays good.
func TestALifeThatIsNoHead(t *testing.T) {
	good := "7:" + strings.Repeat("A", 42) + "E"
	require.NotNil(t, register.Record{Life: good}.AuditHead())
	require.Nil(t, register.Record{Life: good, Owner: hwm.InstanceID{1}}.AuditHead(), "the life of a living owner")
	for _, life := range []string{
		"", ":", "7:", good[1:], "0" + good[1:], "07" + good[1:], "+" + good, "-" + good, good + "A", good + "=",
		good[:len(good)-1], "7:" + strings.Repeat("A", 43), "7:" + strings.Repeat("A", 42) + "F", "9007199254740993" + good[1:], "5b1f00aa",
	} {
		require.Nil(t, register.Record{Life: life}.AuditHead(), life)
	}
}
