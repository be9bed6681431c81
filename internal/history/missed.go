package history

import (
	"slices"

	"highwater/internal/tezos"
)

// Missed is a level with a right of a key, and without its block or attestation on chain.
type Missed struct {
	PKH   tezos.PublicKeyHash
	Kind  tezos.Kind
	Level int32
}

// WithMissed marks the squares of missed rights. A series grows as far as its missed levels: nobody asked there.
func WithMissed(all []Series, missed []Missed) []Series {
	for _, m := range missed {
		i := slices.IndexFunc(all, func(s Series) bool { return s.PKH == m.PKH && s.Kind == m.Kind })
		if i < 0 {
			i, all = len(all), append(all, Series{PKH: m.PKH, Kind: m.Kind})
		}
		all[i].Squares = withLevel(all[i].Squares, m.Level)
		if at := m.Level - first(all[i].Squares); at >= 0 {
			all[i].Squares[at].Missed = true
		}
	}
	slices.SortFunc(all, inOrder)
	return all
}

func first(squares []Square) int32 { return squares[0].Level }

// withLevel makes room for a level, and keeps the latest Levels.
func withLevel(squares []Square, level int32) []Square {
	if len(squares) == 0 {
		return []Square{{Level: level}}
	}
	if level-squares[len(squares)-1].Level > Levels {
		return []Square{{Level: level}} // nobody asked for long
	}
	for last := squares[len(squares)-1].Level; last < level; last++ {
		squares = append(squares, Square{Level: last + 1})
	}
	var before []Square
	for l := max(level, squares[len(squares)-1].Level-Levels+1); l < first(squares); l++ {
		before = append(before, Square{Level: l})
	}
	squares = append(before, squares...)
	return squares[max(0, len(squares)-Levels):]
}
