// Package words puts numbers and names into sentences.
package words

import (
	"fmt"
	"strings"
	"time"
)

// Count is a number of things: "0 keys", "1 key", "2 keys". The noun is a singular; the plural adds an s.
func Count[N ~int | ~int32 | ~int64](n N, one string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, one)
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// Time is a moment for people: "2026-01-02 15:04:05Z".
func Time(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// Age is a duration for people: seconds up to a minute, minutes up to two days, then days.
func Age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < 48*time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// Dash is the text, or a dash for an empty text.
func Dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// ShortAlias leaves the device's name out of a Ledger's locator: the table has a column for the device.
func ShortAlias(alias string) string {
	if rest, ok := strings.CutPrefix(alias, "ledger://"); ok {
		if _, path, ok := strings.Cut(rest, "/"); ok {
			return path
		}
	}
	return alias
}
