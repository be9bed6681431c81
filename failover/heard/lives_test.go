package heard

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLives: what proves it, and what does not.
func TestLives(t *testing.T) {
	said := func(name string, from, to uint64) life { return life{name: name, from: from, to: to} }
	for name, c := range map[string]struct {
		heard []life
		two   bool
	}{
		"one after the other": {
			[]life{said("a", 1, 2), said("b", 3, 4), said("b", 5, 6), said("c", 7, 8)}, false,
		},
		"again":                           {[]life{said("a", 1, 2), said("b", 3, 4), said("a", 5, 6)}, true},
		"again, late":                     {[]life{said("a", 1, 2), said("b", 3, 4), said("a", 1, 6)}, false},
		"again, asked while another was":  {[]life{said("a", 1, 2), said("b", 3, 5), said("a", 4, 6)}, false},
		"the other one before the answer": {[]life{said("a", 1, 3), said("b", 2, 4), said("a", 5, 6)}, false},
		"late between two":                {[]life{said("a", 1, 2), said("a", 5, 6), said("b", 3, 7)}, false},
		"between two, heard after them":   {[]life{said("b", 3, 4), said("a", 1, 2), said("a", 5, 6)}, true},
		"with many between": {func() (out []life) {
			out = append(out, said("a", 1, 2))
			for i := range uint64(maxLives - 2) {
				out = append(out, said(fmt.Sprint(i), 3+2*i, 4+2*i))
			}
			return append(out, said("a", 1000, 1001))
		}(), true},
	} {
		t.Run(name, func(t *testing.T) {
			var l Lives
			two := false
			for _, m := range c.heard {
				two = l.spoke(m) || two
			}
			require.Equal(t, c.two, two)
			require.LessOrEqual(t, len(l.heard), maxLives)
		})
	}
}
