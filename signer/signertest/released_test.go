package signertest_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/tezos"
	"highwater/signer/signertest"
)

// failure takes a failing test's words.
type failure struct{ text string }

func (f *failure) Errorf(format string, args ...any) { f.text += fmt.Sprintf(format, args...) }
func (f *failure) FailNow()                          { panic(f) }

func said(add func(f *failure)) (text string) {
	f := &failure{}
	defer func() {
		if r := recover(); r != nil && r != f {
			panic(r)
		}
		text = f.text
	}()
	add(f)
	return ""
}

func TestReleasedNamesThePromise(t *testing.T) {
	key := signertest.NewKey(t, tezos.P256, 0)
	block := func(level int32, fill byte) []byte {
		return signertest.Payload(tezos.P256, tezos.Block, level, 0, fill)
	}
	var list signertest.Released
	first := block(11, 1)
	list.Add(t, key.PublicKey(), first, key.Sign(first))
	for want, payload := range map[string][2][]byte{
		"double signature":   {block(11, 2), block(11, 2)},
		"left after the sig": {block(10, 1), block(10, 1)},
		"a wrong signature ": {block(12, 1), block(13, 1)},
	} {
		text := said(func(f *failure) { list.Add(f, key.PublicKey(), payload[0], key.Sign(payload[1])) })
		require.Contains(t, text, want)
	}
	list.Add(t, key.PublicKey(), block(12, 1), key.Sign(block(12, 1)))
	require.Len(t, list.All(), 2)
}
