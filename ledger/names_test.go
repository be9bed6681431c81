package ledger

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOctezExample is the example of Octez's own test (test_crouching.ml).
func TestOctezExample(t *testing.T) {
	require.Equal(t, "calculating-meerkat-straight-beetle", crouchingTiger("12345"))
}
