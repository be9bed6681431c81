package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/tezos"
)

// oneWins lets many ask for the same position with different bytes: a single request wins, and only the winner's lasts.
func oneWins(t *testing.T, open Open) {
	s, reopen := open(t)
	const askers, levels = 16, 25
	key := Key(1, tezos.Block)
	Floor(t, s, 0, key)
	winners := map[int32]byte{}
	for level := int32(1); level <= levels; level++ {
		var (
			wins, odd atomic.Int32
			winner    atomic.Int32
			start     = make(chan struct{})
			all       sync.WaitGroup
		)
		for i := range askers {
			all.Go(func() {
				<-start
				switch err := Advance(s, key, Mark(level, 0, byte(i))); {
				case err == nil:
					wins.Add(1)
					winner.Store(int32(i))
				case !errors.Is(err, hwm.ErrMoved):
					odd.Add(1)
				}
			})
		}
		close(start)
		all.Wait()
		require.Zero(t, odd.Load(), "an error besides ErrMoved")
		require.Equal(t, int32(1), wins.Load(), "exactly one wins")
		winners[level] = byte(winner.Load())
		require.Equal(t, Mark(level, 0, winners[level]), markOf(t, s, key))
	}
	require.Equal(t, Mark(levels, 0, winners[levels]), markOf(t, reopen(), key))
}

// manyKeys moves many keys at the same time, each in a goroutine: all marks last.
func manyKeys(t *testing.T, open Open) {
	s, reopen := open(t)
	const keys, steps = 40, 12
	var all sync.WaitGroup
	failed := make(chan error, keys)
	for n := range keys {
		Floor(t, s, 0, Key(n, tezos.Attestation))
	}
	for n := range keys {
		all.Go(func() {
			key := Key(n, tezos.Attestation)
			sig := Signature(t, key.PKH.Curve, byte(n))
			for level := int32(1); level <= steps; level++ {
				mark := Mark(level, 0, byte(n))
				if err := Advance(s, key, mark); err != nil {
					failed <- err
					return
				}
				s.Keep(key, mark.Digest, sig)
			}
		})
	}
	all.Wait()
	close(failed)
	for err := range failed {
		require.NoError(t, err)
	}
	s = reopen()
	for n := range keys {
		key := Key(n, tezos.Attestation)
		want := Mark(steps, 0, byte(n))
		want.Signature = Signature(t, key.PKH.Curve, byte(n))
		require.Equal(t, want, markOf(t, s, key))
	}
}

// advanceAgainstRaise lets an operator raise floors while requests advance: neither ever lowers a mark.
func advanceAgainstRaise(t *testing.T, open Open) {
	s, reopen := open(t)
	key := Key(1, tezos.Block)
	Floor(t, s, 0, key)
	var (
		all     sync.WaitGroup
		highest [2]hwm.Position
		failed  = make(chan error, 2)
	)
	all.Go(func() {
		for level := int32(1); level <= 200; level += 2 {
			switch err := Advance(s, key, Mark(level, 0, 1)); {
			case err == nil:
				highest[0] = hwm.Position{Level: level}
			case !errors.Is(err, hwm.ErrMoved):
				failed <- err
				return
			}
		}
	})
	all.Go(func() {
		for level := int32(2); level <= 200; level += 6 {
			changes, err := s.Raise([]hwm.Row{{Key: key, Mark: hwm.Floor(level, at, hwm.SourcePeer)}})
			if err != nil {
				failed <- err
				return
			}
			highest[1] = changes[0].After.Position
		}
	})
	all.Wait()
	close(failed)
	for err := range failed {
		require.NoError(t, err)
	}
	want := highest[0]
	if highest[1].Compare(want) > 0 {
		want = highest[1]
	}
	require.Equal(t, want, markOf(t, s, key).Position)
	require.Equal(t, want, markOf(t, reopen(), key).Position)
}

// monotonicReads reads during writes: a seen mark never falls.
func monotonicReads(t *testing.T, open Open) {
	s, _ := open(t)
	key := Key(1, tezos.Block)
	Floor(t, s, 0, key)
	done := make(chan error, 1)
	go func() {
		for level := int32(1); level <= 300; level++ {
			if err := Advance(s, key, Mark(level, 0, 1)); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	var last hwm.Mark
	for {
		now := markOf(t, s, key)
		require.False(t, last.Above(now), "the mark fell from %s to %s", last.Position, now.Position)
		last = now
		select {
		case err := <-done:
			require.NoError(t, err)
			return
		default:
		}
	}
}
