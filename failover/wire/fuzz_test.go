package wire

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

// again checks that what was read is written as it was read, and that on error nothing is given.
func again[T Question | Answer](t *testing.T, b []byte) {
	v, err := Parse[T](b)
	if err != nil {
		require.Zero(t, v)
		return
	}
	text, err := json.Marshal(v)
	require.NoError(t, err)
	back, err := Parse[T](text)
	require.NoError(t, err)
	second, err := json.Marshal(back)
	require.NoError(t, err)
	require.Equal(t, string(text), string(second))
}

func FuzzQuestion(f *testing.F) {
	f.Add(text(f, question()))
	f.Fuzz(func(t *testing.T, b []byte) { again[Question](t, b) })
}

func FuzzAnswer(f *testing.F) {
	for _, a := range answers(f) {
		f.Add(text(f, a))
	}
	f.Fuzz(func(t *testing.T, b []byte) { again[Answer](t, b) })
}

// FuzzCertificate also looks that nothing but the certificate itself verifies.
func FuzzCertificate(f *testing.F) {
	c := certificate(f)
	seed, err := EncodeCertificate(c)
	require.NoError(f, err)
	f.Add(seed)
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
