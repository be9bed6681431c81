package proxy

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

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
	called := make(chan Stage, 10)
	for _, c := range []struct {
		fate       Fate
		got, heard string
		twice      bool
	}{
		{Fate{At: OnConnect, Lose: true}, "", "", false},
		{Fate{At: onGreeting, Lose: true}, "", "", false},
		{Fate{At: onWelcome, Lose: true}, "", "greeting", false},
		{Fate{At: OnQuestion, Lose: true}, "welcome", "greeting", false},
		{Fate{At: OnQuestion, Half: true}, "welcome", "greetingques", false},
		{Fate{At: OnAnswer, Lose: true}, "welcome", "greetingquestion", false},
		{Fate{At: OnAnswer, Half: true}, "welcomeans", "greetingquestion", false},
		{Fate{At: OnAnswer, Delay: time.Millisecond}, "welcomeanswer", "greetingquestion", false},
		{Fate{At: OnAnswer, Again: true}, "welcomeanswer", "greetingquestion", true},
		{Fate{At: OnEnd, Call: func() { called <- OnEnd }}, "welcomeanswer", "greetingquestion", false},
		{Fate{At: OnQuestion, Call: func() { called <- OnQuestion }}, "welcomeanswer", "greetingquestion", false},
	} {
		t.Run(c.fate.String(), func(t *testing.T) {
			other := newAnswerer(t)
			l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
			require.NoError(t, err)
			p := New(l, func(ctx context.Context) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "tcp", other.Addr().String())
			})
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); p.Run(ctx) }()
			p.Decide(func() []Fate { return []Fate{c.fate} })
			require.Equal(t, c.got, ask(t, l.Addr().String()))
			if c.fate.Call != nil {
				require.Equal(t, c.fate.At, <-called)
			}
			stop()
			<-done
			require.NoError(t, other.Close())
			other.wg.Wait()
			var want []string
			if c.fate.At != OnConnect && (c.fate.At != onGreeting || !c.fate.Lose) {
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
