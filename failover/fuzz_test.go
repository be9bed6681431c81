package failover

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

// seeds are real messages of a pair that did everything once.
func seeds(f *testing.F) (questions, answers [][]byte) {
	p := newPair(f)
	a, b := p.begin()
	a.bake(p.level)
	b.handover()
	a.handover()
	_, err := b.node.Handover(f.Context(), HandoverRequest{At: level(p.level + 5)})
	require.NoError(f, err)
	for _, l := range p.wire.answers {
		answers = append(answers, l.body)
	}
	for _, s := range p.sides {
		q, err := json.Marshal(s.node.question(s.peer(), s.node.newNonce(verbStatus)))
		require.NoError(f, err)
		questions = append(questions, q)
	}
	for _, s := range p.sides {
		s.kill()
	}
	return questions, answers
}

// again checks that what was read is written as it was read, and that on error nothing is given.
func again[T Question | Answer](t *testing.T, b []byte) {
	v, err := parse[T](b)
	if err != nil {
		require.Zero(t, v)
		return
	}
	text, err := json.Marshal(v)
	require.NoError(t, err)
	back, err := parse[T](text)
	require.NoError(t, err)
	second, err := json.Marshal(back)
	require.NoError(t, err)
	require.Equal(t, string(text), string(second))
}

func FuzzQuestion(f *testing.F) {
	questions, _ := seeds(f)
	for _, q := range questions {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, b []byte) { again[Question](t, b) })
}

func FuzzAnswer(f *testing.F) {
	_, answers := seeds(f)
	for _, a := range answers {
		f.Add(a)
	}
	f.Fuzz(func(t *testing.T, b []byte) { again[Answer](t, b) })
}

// FuzzCertificate also looks that nothing but the certificate itself verifies.
func FuzzCertificate(f *testing.F) {
	p := newPair(f)
	a, _ := p.begin()
	c, err := a.node.Release(f.Context(), p.level+5)
	require.NoError(f, err)
	text, err := EncodeCertificate(c)
	require.NoError(f, err)
	for _, s := range p.sides {
		s.kill()
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := ParseCertificate(b)
		if err != nil {
			require.Nil(t, got)
			return
		}
		text, err := EncodeCertificate(got)
		require.NoError(t, err)
		back, err := ParseCertificate(text)
		require.NoError(t, err)
		if got.From == c.From && got.Verify() == nil {
			require.True(t, reflect.DeepEqual(sameTime(*c), sameTime(*got)), "a forged certificate: %s", b)
		}
		require.Equal(t, back.Signature, got.Signature)
	})
}

// sameTime leaves out what JSON does not tell apart: where a moment is shown from.
func sameTime(c Certificate) Certificate {
	c.When = c.When.UTC()
	return c
}
