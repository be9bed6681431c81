package api_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/api"
	"highwater/hwm"
	"highwater/hwm/bundle"
	"highwater/internal/tezos"
)

// TestBundle: what the daemon writes over its socket is whole there, of our chain alone, and of this instance.
func TestBundle(t *testing.T) {
	r := newRig(t).activate()
	other := hwm.Key{Chain: tezos.ChainID{9}, PKH: r.keys[tezos.Ed25519].Hash(), Kind: tezos.Block}
	_, err := r.store.Raise([]hwm.Row{{Key: other, Mark: hwm.Floor(7777, time.Now(), hwm.SourceSet)}})
	require.NoError(t, err)
	for _, c := range []tezos.ChainID{chain, other.Chain} {
		key := hwm.CeilingKey{Chain: c, PKH: other.PKH}
		require.NoError(t, r.store.SetCeiling(key, hwm.Ceiling{Level: 9000, At: time.Now(), Source: hwm.SourceSet}))
	}

	path := filepath.Join(t.TempDir(), "admin.sock")
	l, err := api.Listen(t.Context(), api.UnixPrefix+path, 0o600)
	require.NoError(t, err)
	serveOn(t, l, api.NewAdmin(r.admin.Admin()))
	c, err := api.Dial(t.Context(), path)
	require.NoError(t, err)
	_, err = c.Bundle(t.Context())
	require.ErrorContains(t, err, "the instance's key is not open here")

	r.admin.Identity = r.store.Identity()
	b, err := c.Bundle(t.Context())
	require.NoError(t, err)
	require.NoError(t, b.Verify())
	require.Equal(t, r.store.Instance(), b.Instance)
	require.Equal(t, hwm.Active, b.Role)
	require.Len(t, b.Keys, 4)
	require.Len(t, b.Marks, 12)
	require.Equal(t, []bundle.Ceiling{{PKH: other.PKH, Level: 9000, Source: hwm.SourceSet}}, b.Ceilings)
	for _, m := range b.Marks {
		require.Equal(t, int32(floor), m.Level)
	}
	text, err := bundle.Encode(&b)
	require.NoError(t, err)
	again, err := bundle.Parse(text)
	require.NoError(t, err)
	require.Equal(t, &b, again)
}

// TestLastAsked: when a client asked last is told, and that none did is another thing than a time.
func TestLastAsked(t *testing.T) {
	r := newRig(t)
	st, err := r.admin.Status(t.Context())
	require.NoError(t, err)
	require.Nil(t, st.LastAsked)
	at := time.Time{}
	r.admin.LastAsked = func() time.Time { return at }
	st, err = r.admin.Status(t.Context())
	require.NoError(t, err)
	require.Nil(t, st.LastAsked)
	at = time.Now()
	st, err = r.admin.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, at, *st.LastAsked)
}
