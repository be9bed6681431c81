//go:build !race

package tezsign_test

// overhead is what the driver may cost beside the gadgets' own time.
const overhead = 1.1
