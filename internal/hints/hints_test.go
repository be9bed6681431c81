package hints_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/hints"
)

func TestAdvice(t *testing.T) {
	cause := errors.New("the disk is full")
	err := hints.Add(cause, "make room")
	require.EqualError(t, err, "the disk is full")
	require.ErrorIs(t, err, cause)
	require.Equal(t, "make room", hints.Of(err))
	require.Equal(t, "make room", hints.Of(fmt.Errorf("export: %w", err)))
	require.Equal(t, "free 1 MB", hints.Of(hints.Add(err, "free 1 MB")), "the nearest advice counts")
	require.Empty(t, hints.Of(cause))
	require.Empty(t, hints.Of(nil))
}
