//go:build race

package early

// days is short under the race detector: a day has the same races as a week.
const days = 1
