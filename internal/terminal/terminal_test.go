package terminal

import (
	"bufio"
	"bytes"
	"io"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// TestAnInterruptEndsAQuestion: Ctrl-C at a question ends it. It was ignored there, and what was typed next was taken
// for the answer.
func TestAnInterruptEndsAQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, types := io.Pipe()
		interrupt := make(chan struct{})
		var said bytes.Buffer
		term := &Terminal{in: bufio.NewReader(in), Err: &said, Interactive: true, Interrupted: interrupt}
		ended := make(chan error)
		ask := func() { ended <- term.Confirm(false, "Certain?", "activate") }

		go ask()
		_, err := io.WriteString(types, "activate\n")
		require.NoError(t, err)
		require.NoError(t, <-ended)

		go ask()
		synctest.Wait()
		close(interrupt)
		require.ErrorIs(t, <-ended, errInterrupted)
		require.ErrorIs(t, term.Confirm(false, "Certain?", "activate"), errInterrupted, "nothing is asked after it")
		_, err = term.Pick("Which", []string{"a"})
		require.ErrorIs(t, err, errInterrupted)
		require.NoError(t, types.Close()) // ends the one that still reads
	})
}
