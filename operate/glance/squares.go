package glance

import (
	"fmt"
	"slices"
	"time"

	"highwater/internal/history"
)

// maxSaid bounds the levels that are named below the squares.
const maxSaid = 6

// Missed is the word of a right that the chain shows nothing of.
const Missed = "missed on chain"

// Word is the word of a square: on chain nothing counts but the chain.
func Word(q history.Square) string {
	if q.Missed {
		return Missed
	}
	return q.State.String()
}

// Legend has the words of squares in their order.
var Legend = func() []string {
	out := []string{}
	for _, state := range history.States {
		out = append(out, state.String())
	}
	return slices.Insert(out, len(out)-1, Missed)
}()

// Said names the newest levels without a signature for which somebody asked.
func Said(squares []history.Square) (out []string) {
	for i := len(squares) - 1; i >= 0 && len(out) < maxSaid; i-- {
		q := squares[i]
		if q.Missed {
			out = append(out, missedText(q))
			continue
		}
		switch q.State {
		case history.Refused, history.Failed, history.Conflict, history.Fenced:
			out = append(out, fmt.Sprintf("level %d, round %d: %s at %s UTC (%s)", q.Level, q.Round, q.State,
				q.At.UTC().Format("15:04:05"), q.Reason))
		case history.None, history.Replayed, history.Signed:
		}
	}
	return out
}

// missedText tells of a missed right, and what happened here.
func missedText(q history.Square) string {
	switch {
	case q.State == history.None:
		return fmt.Sprintf("level %d: missed on chain; nobody asked for a signature", q.Level)
	case q.Reason != "":
		return fmt.Sprintf("level %d: missed on chain; %s here (%s)", q.Level, q.State, q.Reason)
	}
	return fmt.Sprintf("level %d: missed on chain; %s here at %s UTC, in %s", q.Level, q.State,
		q.At.UTC().Format("15:04:05"), inMillis(q.TookUS))
}

// Times are the percentiles with the shares of device and disk.
func Times(l history.Latency) string {
	if l.Signatures == 0 {
		return "no signature yet"
	}
	return fmt.Sprintf("p50 %s, p99 %s; device %.0f %%, disk %.0f %%", inMillis(l.P50US), inMillis(l.P99US),
		100*l.Device, 100*l.Disk)
}

// inMillis is a time for people: "0.8 ms", "12 ms".
func inMillis(micros uint32) string {
	d := time.Duration(micros) * time.Microsecond
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}
