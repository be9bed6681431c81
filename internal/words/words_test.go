package words

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCount(t *testing.T) {
	for n, want := range []string{"0 keys", "1 key", "2 keys"} {
		require.Equal(t, want, Count(n, "key"))
	}
	require.Equal(t, "-1 keys", Count(int64(-1), "key"))
}
