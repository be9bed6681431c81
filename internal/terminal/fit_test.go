package terminal

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFit(t *testing.T) {
	require.Equal(t, "one two\nthree\n\nfour five\nsix", Fit("one\ntwo three\n\nfour five six", 9))
	require.Equal(t, "a   table of it\nis kept", Fit("a   table of it\nis kept", 5))
	require.Equal(t, "awordthatislong\nb", Fit("awordthatislong b", 5))
	require.Empty(t, Fit("", 80))
}
