package words

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"status", "status", 0},
		{"stauts", "status", 1},
		{"statu", "status", 1},
		{"sttaus", "status", 1},
		{"authorised_keys", "authorized_keys", 1},
		{"lst", "list", 1},
		{"serve", "release", 5},
	} {
		require.Equal(t, c.want, distance(c.a, c.b), "%s, %s", c.a, c.b)
		require.Equal(t, c.want, distance(c.b, c.a), "%s, %s", c.b, c.a)
	}
}

func TestDidYouMean(t *testing.T) {
	names := []string{"status", "standby", "serve"}
	require.Equal(t, "; did you mean status?", DidYouMean("stauts", names))
	require.Empty(t, DidYouMean("frobnicate", names))
	require.Empty(t, DidYouMean("x", names))
	require.Empty(t, DidYouMean("status", nil))
}
