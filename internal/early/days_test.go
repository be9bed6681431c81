//go:build !race

package early

// days is the length of the simulated week.
const days = 7
