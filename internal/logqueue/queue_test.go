package logqueue_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"highwater/internal/logqueue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func notice(lost uint64) []byte { return fmt.Appendf(nil, "%d lost\n", lost) }

// All that is written is read, in its order, and the writer may use its bytes again.
func TestOrder(t *testing.T) {
	var out bytes.Buffer
	q := logqueue.New(&out, 1000, notice)
	line := make([]byte, 0, 10)
	want := ""
	for i := range 1000 {
		line = fmt.Appendf(line[:0], "%d\n", i)
		n, err := q.Write(line)
		require.NoError(t, err)
		require.Equal(t, len(line), n)
		want += string(line)
	}
	q.Close(time.Hour)
	require.Equal(t, want, out.String())
	require.Zero(t, q.Dropped())
}

// Nobody reads: nobody waits, what does not fit is counted; and when the reader is back it is told how much is missing.
func TestNobodyReads(t *testing.T) {
	// A writer that waits for ever is a deadlock there, and fails at once.
	synctest.Test(t, testNobodyReads)
}

func testNobodyReads(t *testing.T) {
	r, w := io.Pipe()
	q := logqueue.New(w, 10, notice)
	for i := range 1000 {
		_, err := fmt.Fprintf(q, "%d\n", i)
		require.NoError(t, err)
	}
	lost := q.Dropped()
	require.InDelta(t, 1000-10, lost, 1, "ten are queued, perhaps one more is being written")
	var read []byte
	var reader sync.WaitGroup
	reader.Go(func() { read, _ = io.ReadAll(r) })
	q.Close(time.Hour)
	require.NoError(t, w.Close())
	reader.Wait()
	lines := strings.Split(strings.TrimSpace(string(read)), "\n")
	told, kept := uint64(0), 0
	for _, line := range lines {
		var n uint64
		if _, err := fmt.Sscanf(line, "%d lost", &n); err == nil {
			told += n
		} else {
			kept++
		}
	}
	require.Equal(t, lost, told, "the reader is told of another number: %v", lines)
	require.Equal(t, 1000-int(lost), kept)
	require.Equal(t, lost, q.Dropped())
}

// The end waits for a reader that reads nothing for its patience, and no longer.
func TestCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		q := logqueue.New(w, 10, notice)
		_, err := io.WriteString(q, "nobody reads this\n")
		require.NoError(t, err)
		start := time.Now()
		q.Close(time.Second)
		require.Equal(t, time.Second, time.Since(start))
		require.NoError(t, r.Close())
	})
}

// broken fails for a while.
type broken struct {
	fails int
	out   bytes.Buffer
}

func (b *broken) Write(p []byte) (int, error) {
	if b.fails > 0 {
		b.fails--
		return 0, errors.New("no space left")
	}
	return b.out.Write(p)
}

// Lines that could not be written are counted too, and told when writing works again.
func TestAReaderThatFails(t *testing.T) {
	b := &broken{fails: 3} // the first line; the notice and the second
	q := logqueue.New(b, 10, notice)
	for i := range 4 {
		_, err := fmt.Fprintf(q, "%d\n", i)
		require.NoError(t, err)
	}
	q.Close(time.Hour)
	require.Equal(t, "2 lost\n2\n3\n", b.out.String())
	require.Equal(t, uint64(2), q.Dropped())
}
