// Package words puts numbers and names into sentences.
package words

import "fmt"

// Count is a number of things: "0 keys", "1 key", "2 keys". one is the singular of a noun; the plural adds an s.
func Count[N ~int | ~int32 | ~int64](n N, one string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, one)
	}
	return fmt.Sprintf("%d %ss", n, one)
}
