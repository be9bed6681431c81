package actor

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheOtherEndOfASocket is told by the kernel: here, this process.
func TestTheOtherEndOfASocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	client, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path})
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	c, err := l.Accept()
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	got, ok := Of(c)
	require.True(t, ok)
	require.Equal(t, Me(), got)
	require.Contains(t, got.String(), "uid "+strconv.Itoa(os.Getuid()))
	a, b := net.Pipe()
	_, ok = Of(a)
	require.False(t, ok)
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
}

func TestNames(t *testing.T) {
	require.Equal(t, "root (uid 0)", Actor{0, none}.String())
	require.Equal(t, "root (uid 0) by uid 4123456789", Actor{0, 4123456789}.String())
	require.Equal(t, none, loginOf(-1))
	ctx := context.Background()
	require.Equal(t, Me(), From(ctx))
	require.Equal(t, Actor{7, 8}, From(With(ctx, Actor{7, 8})))
	require.Empty(t, Reason(ctx))
	require.Equal(t, "a new disk", Reason(WithReason(ctx, "a new disk")))
}
