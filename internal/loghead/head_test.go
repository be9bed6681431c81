package loghead

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func example() Head { return Head{Record: 48211, Link: Hash{0x9f, 0x1c, 31: 7}} }

func TestParse(t *testing.T) {
	h, err := Parse(example().String())
	require.NoError(t, err)
	require.Equal(t, example(), h)
	link := example().Link.String()
	for _, bad := range []string{
		"", "7", "7:", ":" + link, "0:" + link, "-1:" + link, "7:" + link[1:], "7:" + link[2:], "7:" + link + "00",
		"7:" + link + "0", "7:" + strings.Repeat("0", 64), "7:" + strings.Repeat("g", 64), "9007199254740993:" + link,
		"18446744073709551616:" + link, "7:" + link + ":", " 7:" + link,
	} {
		h, err := Parse(bad)
		require.ErrorContains(t, err, "RECORD:LINK", bad)
		require.Zero(t, h, bad)
	}
}

func TestJSON(t *testing.T) {
	b, err := json.Marshal(example())
	require.NoError(t, err)
	require.JSONEq(t, `{"record":48211,"link":"`+example().Link.String()+`"}`, string(b))
	var h Head
	require.NoError(t, json.Unmarshal(b, &h))
	require.Equal(t, example(), h)
	for _, bad := range []string{`{"link":"00"}`, `{"link":""}`, `{"record":-1}`, `{"record":1.5}`, `{"link":7}`} {
		require.Error(t, json.Unmarshal([]byte(bad), &h), bad)
	}
	require.False(t, Head{}.Sound())
	require.False(t, Head{Record: 1}.Sound())
	require.False(t, Head{Link: Hash{1}}.Sound())
}

func FuzzParse(f *testing.F) {
	f.Add(example().String())
	f.Fuzz(func(t *testing.T, text string) {
		if h, err := Parse(text); err == nil {
			again, err := Parse(h.String())
			require.NoError(t, err)
			require.Equal(t, h, again)
		}
	})
}
