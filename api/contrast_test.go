package api_test

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/api"
)

// colours are the variables of the style: by day, and by night.
func colours(t *testing.T) [2]map[string]string {
	t.Helper()
	blocks := regexp.MustCompile(`:root \{([^}]*)\}`).FindAllStringSubmatch(api.PageCSS(), -1)
	require.Len(t, blocks, 2)
	var out [2]map[string]string
	for i, block := range blocks {
		out[i] = map[string]string{}
		for _, m := range regexp.MustCompile(`--([a-z]+): (#[0-9a-f]+);`).FindAllStringSubmatch(block[1], -1) {
			out[i][m[1]] = m[2]
		}
	}
	require.Equal(t, slices.Sorted(maps.Keys(out[0])), slices.Sorted(maps.Keys(out[1])))
	return out
}

// luminance is the relative luminance of WCAG 2.2.
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	if len(colour) == 4 {
		colour = fmt.Sprintf("#%[1]c%[1]c%[2]c%[2]c%[3]c%[3]c", colour[1], colour[2], colour[3])
	}
	sum := 0.0
	for i, share := range []float64{.2126, .7152, .0722} {
		n, err := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
		require.NoError(t, err)
		v := float64(n) / 255
		if v <= .04045 {
			sum += share * v / 12.92
		} else {
			sum += share * math.Pow((v+.055)/1.055, 2.4)
		}
	}
	return sum
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + .05) / (min(x, y) + .05)
}

// TestContrast: text reads well, and squares are seen, by day and by night (WCAG 2.2, AA).
func TestContrast(t *testing.T) {
	require.InDelta(t, 21, contrast(t, "#000", "#ffffff"), 1e-9)
	for i, c := range colours(t) {
		for _, on := range []string{"page", "card"} {
			for _, text := range []string{"text", "soft", "good", "bad", "calm", "link"} {
				require.GreaterOrEqual(t, contrast(t, c[text], c[on]), 4.5, "%d: %s on %s", i, text, on)
			}
		}
		for _, square := range []string{
			"signed", "replayed", "refused", "failed", "conflict", "fenced", "missed", "none",
		} {
			require.GreaterOrEqual(t, contrast(t, c[square], c["card"]), 3.0, "%d: %s", i, square)
		}
	}
}

// TestSquaresWithoutColour: each state has a shape of its own.
func TestSquaresWithoutColour(t *testing.T) {
	states := map[string]string{}
	for class, shape := range api.Tiles() {
		require.Empty(t, states[shape], "%s looks like %s", class, states[shape])
		states[shape] = class
		require.Regexp(t, `(?m)\.`+class+` \{ fill: var\(--`, api.PageCSS())
	}
	require.GreaterOrEqual(t, len(states), 8)
}
