//go:build race

package tezsign_test

// overhead is what the driver may cost beside the gadgets' own time. The race detector makes everything some times slower: here it
// says only that nothing waits needlessly.
const overhead = 1.5
