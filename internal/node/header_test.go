package node_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/node"
	"highwater/internal/node/nodesim"
)

func TestTheHeaderAtALevel(t *testing.T) {
	sim := nodesim.New(nodesim.Config{Chain: chain, Level: 50})
	third := sim.Head()
	for range 5 {
		sim.Advance()
	}
	c := client(t, serve(t, sim).URL)
	h, err := c.HeaderAt(t.Context(), 50)
	require.NoError(t, err)
	require.Equal(t, third, h)
	for _, level := range []int32{49, 56} {
		_, err = c.HeaderAt(t.Context(), level)
		require.ErrorIs(t, err, node.ErrNotFound)
	}

	// An answer for another level is none.
	liar := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = "/chains/main/blocks/head/header"
		sim.ServeHTTP(w, r)
	})
	_, err = client(t, serve(t, liar).URL).HeaderAt(t.Context(), 50)
	require.ErrorIs(t, err, node.ErrAnswer)
}
