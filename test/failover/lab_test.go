package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	_ "highwater/cmd" // what make test-failover runs: Go's cache of results must know of it
	"highwater/internal/baker"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
	"highwater/test/harness"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// exchange is a connection as the link's are: a greeting, one back, a question, an answer.
var exchange = []string{"greeting", "welcome", "question", "answer"}

// answerer plays the other side, and keeps what each connection said to it.
type answerer struct {
	net.Listener
	mu    sync.Mutex
	heard []string
	wg    sync.WaitGroup
}

func newAnswerer(t *testing.T) *answerer {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	a := &answerer{Listener: l}
	a.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			a.wg.Go(func() { a.answer(c) })
		}
	})
	return a
}

func (a *answerer) answer(c net.Conn) {
	defer c.Close()
	said := ""
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.heard = append(a.heard, said)
	}()
	for i := 0; i < len(exchange); i += 2 {
		b := make([]byte, len(exchange[i]))
		n, err := io.ReadFull(c, b)
		if said += string(b[:n]); err != nil {
			return
		}
		if _, err = io.WriteString(c, exchange[i+1]); err != nil {
			return
		}
	}
	_, _ = io.Copy(io.Discard, c)
}

// ask plays the asker over a proxy, and gives what came back.
func ask(t *testing.T, addr string) string {
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	require.NoError(t, err)
	defer c.Close()
	got := ""
	for i := 0; i < len(exchange); i += 2 {
		if _, err = io.WriteString(c, exchange[i]); err != nil {
			return got
		}
		b := make([]byte, len(exchange[i+1]))
		n, err := io.ReadFull(c, b)
		if got += string(b[:n]); err != nil {
			return got
		}
	}
	return got
}

// TestTheProxyDoesWhatItIsTold: each fate at each stage, seen from both ends.
func TestTheProxyDoesWhatItIsTold(t *testing.T) {
	called := make(chan stage, 10)
	for _, c := range []struct {
		fate       fate
		got, heard string
		twice      bool
	}{
		{fate{at: onConnect, lose: true}, "", "", false},
		{fate{at: onGreeting, lose: true}, "", "", false},
		{fate{at: onWelcome, lose: true}, "", "greeting", false},
		{fate{at: onQuestion, lose: true}, "welcome", "greeting", false},
		{fate{at: onQuestion, half: true}, "welcome", "greetingques", false},
		{fate{at: onAnswer, lose: true}, "welcome", "greetingquestion", false},
		{fate{at: onAnswer, half: true}, "welcomeans", "greetingquestion", false},
		{fate{at: onAnswer, delay: time.Millisecond}, "welcomeanswer", "greetingquestion", false},
		{fate{at: onAnswer, again: true}, "welcomeanswer", "greetingquestion", true},
		{fate{at: onEnd, call: func() { called <- onEnd }}, "welcomeanswer", "greetingquestion", false},
		{fate{at: onQuestion, call: func() { called <- onQuestion }}, "welcomeanswer", "greetingquestion", false},
	} {
		t.Run(c.fate.String(), func(t *testing.T) {
			other := newAnswerer(t)
			l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
			require.NoError(t, err)
			p := newProxy(l, func(ctx context.Context) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "tcp", other.Addr().String())
			})
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); p.run(ctx) }()
			p.decide(func() []fate { return []fate{c.fate} })
			require.Equal(t, c.got, ask(t, l.Addr().String()))
			if c.fate.call != nil {
				require.Equal(t, c.fate.at, <-called)
			}
			stop()
			<-done
			require.NoError(t, other.Close())
			other.wg.Wait()
			var want []string
			if c.fate.at != onConnect && (c.fate.at != onGreeting || !c.fate.lose) {
				want = append(want, c.heard)
			}
			if c.twice {
				want = append(want, c.heard)
			}
			heard := []string{}
			for _, h := range other.heard {
				if h != "" {
					heard = append(heard, h)
				}
			}
			require.ElementsMatch(t, want, heard)
		})
	}
}

func newTestKey(t *testing.T) *softkey.Key {
	k, err := softkey.New(tezos.Ed25519, bytes.Repeat([]byte{5}, softkey.MinSeed))
	require.NoError(t, err)
	return k
}

// sign has a side sign at a place.
func sign(t *testing.T, tally *tally, key *softkey.Key, side int, kind tezos.Kind, level, round int32) {
	step := baker.Step{Chain: harness.Chain, Kind: kind, Level: level, Round: round, Variant: byte(side + 1)}
	payload := step.Payload(key.Curve())
	require.NoError(t, tally.note(side, key.PublicKey().Hash(), step, payload, key.Sign(payload), time.Now()))
}

// TestTheTallyCounts: doubles, levels that both signed, levels that nobody did, who signed since when.
func TestTheTallyCounts(t *testing.T) {
	tally, key := newTally(), newTestKey(t)
	both := []tezos.Kind{tezos.Preattestation, tezos.Attestation}
	for level := int32(1); level <= 4; level++ {
		for _, kind := range both {
			if level != 3 || kind != tezos.Preattestation {
				sign(t, tally, key, 0, kind, level, 0)
			}
		}
	}
	keys := []*tezos.PublicKey{key.PublicKey()}
	require.Equal(t, []int32{3, 5}, tally.missed(keys, 1, 5))
	require.Empty(t, tally.doubles())
	require.Empty(t, tally.overlap())
	moment := time.Now()
	require.Empty(t, tally.by(0, moment))
	sign(t, tally, key, 1, tezos.Attestation, 4, 0) // the other side, other bytes, the same place
	sign(t, tally, key, 1, tezos.Attestation, 2, 1) // another round: no double signature, and yet both signed the level
	require.Len(t, tally.doubles(), 1)
	require.Equal(t, []int32{4, 2}, tally.overlap())
	require.Len(t, tally.by(1, moment), 2)
	require.Empty(t, tally.by(0, moment))
}

// TestGapsAreBetweenTheSides: a pause of one side is none of the handover.
func TestGapsAreBetweenTheSides(t *testing.T) {
	tally, key := newTally(), newTestKey(t).PublicKey().Hash()
	at := time.Now()
	for _, s := range []struct {
		side  int
		after time.Duration
	}{{0, 1}, {0, 500}, {1, 30}, {1, 100}, {0, 7}} {
		at = at.Add(s.after * time.Millisecond)
		tally.signed = append(tally.signed, signature{side: s.side, key: key, at: at})
	}
	between, within := tally.gaps(key, time.Time{})
	require.Equal(t, 30*time.Millisecond, between)
	require.Equal(t, 500*time.Millisecond, within)
}

// TestAReportFails: with one scenario that failed, and with none at all.
func TestAReportFails(t *testing.T) {
	good, bad := result{Name: "good", Passed: true}, result{Name: "bad", Error: "both sign", Doubles: 3}
	require.True(t, newReport(1, []result{good}, 0).Passed)
	require.False(t, newReport(1, nil, 0).Passed)
	r := newReport(7, []result{good, bad}, 0)
	require.False(t, r.Passed)
	require.Contains(t, r.table(), "FAILED bad (-run '^bad$' -seed 7): both sign")
}

// TestVerdict: a double signature is a failure, but where somebody lied; and so is a scenario in which nothing was
// signed.
func TestVerdict(t *testing.T) {
	w := &world{tally: newTally()}
	require.ErrorContains(t, w.verdict(), "nothing was signed")
	key := newTestKey(t)
	sign(t, w.tally, key, 0, tezos.Block, 5, 0)
	require.ErrorContains(t, w.verdict(), "the bakers of a were never refused")
	w.tally.answered(0, "409 Conflict")
	w.tally.answered(1, "200 OK")
	require.ErrorContains(t, w.verdict(), "the bakers of b were never refused")
	w.tally.answered(1, "403 Forbidden")
	require.NoError(t, w.verdict())
	sign(t, w.tally, key, 1, tezos.Block, 5, 0)
	require.ErrorContains(t, w.verdict(), "1 double signatures")
	w.doubles = true
	require.NoError(t, w.verdict())
}

// TestScenariosAreNamedOnce: a name chooses one, and each is told in a line.
func TestScenariosAreNamedOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range scenarios() {
		require.False(t, seen[s.name], s.name)
		require.NotEmpty(t, s.what)
		require.Positive(t, s.interval)
		require.NotNil(t, s.run)
		seen[s.name] = true
	}
	require.True(t, seen["control"], "a lab that cannot fail proves nothing")
}
