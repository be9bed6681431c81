package registertest

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/register"
)

// Suite tests the contract of register.Backend. empty gives a register without a record.
func Suite(t *testing.T, empty func(t *testing.T) register.Backend) {
	t.Run("an absent record is an error", func(t *testing.T) {
		b := empty(t)
		_, err := b.Read(t.Context())
		require.ErrorIs(t, err, register.ErrAbsent)
		_, swapped, err := b.Swap(t.Context(), register.Entry{Value: []byte("a"), ModRev: 1}, []byte("b"))
		require.False(t, swapped, "a swap made a record in an empty register")
		if err != nil {
			require.ErrorIs(t, err, register.ErrAbsent)
		}
	})
	t.Run("the first record is made once", func(t *testing.T) {
		b := empty(t)
		e, created, err := b.Create(t.Context(), []byte("a"))
		require.NoError(t, err)
		require.True(t, created)
		require.Equal(t, "a", string(e.Value))
		e, created, err = b.Create(t.Context(), []byte("b"))
		require.NoError(t, err)
		require.False(t, created)
		require.Equal(t, "a", string(e.Value))
	})
	t.Run("a swap compares bytes and revision", func(t *testing.T) {
		b := empty(t)
		first, _, err := b.Create(t.Context(), []byte("a"))
		require.NoError(t, err)
		read, err := b.Read(t.Context())
		require.NoError(t, err)
		require.Equal(t, first.ModRev, read.ModRev)
		require.Equal(t, first.Version.Cluster, read.Version.Cluster)

		second, swapped, err := b.Swap(t.Context(), first, []byte("b"))
		require.NoError(t, err)
		require.True(t, swapped)
		require.Greater(t, second.ModRev, first.ModRev)
		require.GreaterOrEqual(t, second.Version.Revision, second.ModRev)

		for name, prev := range map[string]register.Entry{
			"an older record":                first,
			"other bytes, the same revision": {Value: []byte("x"), ModRev: second.ModRev},
			"the same bytes, older revision": {Value: second.Value, ModRev: first.ModRev},
		} {
			now, swapped, err := b.Swap(t.Context(), prev, []byte("c"))
			require.NoError(t, err, name)
			require.False(t, swapped, name)
			require.Equal(t, "b", string(now.Value), "%s: the answer shows the present record", name)
			require.Equal(t, second.ModRev, now.ModRev, name)
		}
	})
	t.Run("of many swaps a single swap wins", func(t *testing.T) {
		b := empty(t)
		first, _, err := b.Create(t.Context(), []byte("a"))
		require.NoError(t, err)
		var wg sync.WaitGroup
		wins := make(chan string, 8)
		for i := range 8 {
			wg.Go(func() {
				next := "bcdefghi"[i : i+1]
				if _, swapped, wrong := b.Swap(t.Context(), first, []byte(next)); wrong == nil && swapped {
					wins <- next
				}
			})
		}
		wg.Wait()
		close(wins)
		winner, more := <-wins
		require.True(t, more, "nobody won")
		_, more = <-wins
		require.False(t, more, "two swaps of the same record succeeded")
		e, err := b.Read(t.Context())
		require.NoError(t, err)
		require.Equal(t, winner, string(e.Value))
	})
	t.Run("a context ends each call", func(t *testing.T) {
		b := empty(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := b.Read(ctx)
		require.Error(t, err)
		_, _, err = b.Swap(ctx, register.Entry{}, []byte("x"))
		require.Error(t, err)
	})
}
