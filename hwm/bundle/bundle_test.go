package bundle_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/hwm/bundle"
	"highwater/internal/loghead"
	"highwater/internal/tezos"
)

var (
	identity = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	chain    = tezos.ChainID{1, 2, 3, 4}
	when     = time.Date(2026, 5, 4, 3, 2, 1, 6_789_012, time.FixedZone("x", 3600))
)

// example is in no order, and its times are not yet canonical.
func example(t testing.TB) bundle.Bundle {
	t.Helper()
	key, err := tezos.NewPublicKey(tezos.Ed25519, identity.Public().(ed25519.PublicKey))
	require.NoError(t, err)
	other := tezos.PublicKeyHash{Curve: tezos.BLS12381, Hash: [20]byte{9}}
	return bundle.Bundle{
		Chain: chain, Role: hwm.Active, Epoch: 3, Owner: hwm.InstanceID{1}, Build: "v1.2.3", When: when,
		Keys: []bundle.Key{
			{PKH: other, Alias: "companion", Allow: []tezos.Kind{tezos.Attestation}},
			{
				PKH: key.Hash(), PublicKey: key.String(), Alias: "consensus é",
				Allow: []tezos.Kind{tezos.Attestation, tezos.Block},
			},
		},
		Marks: []bundle.Mark{
			{PKH: other, Kind: tezos.Attestation, Level: 12, Round: 1, Source: hwm.SourceSigned, UpdatedAt: when},
			{PKH: key.Hash(), Kind: tezos.Attestation, Level: 11, Source: hwm.SourcePeer, UpdatedAt: when},
			{PKH: key.Hash(), Kind: tezos.Block, Level: 10, Round: hwm.MaxRound, Source: hwm.SourceSet, UpdatedAt: when},
		},
		Ceilings: []bundle.Ceiling{
			{PKH: other, Level: 20, Source: hwm.SourcePeer},
			{PKH: key.Hash(), Level: 21, Source: hwm.SourceSet},
		},
	}
}

func encoded(t testing.TB) []byte {
	t.Helper()
	b, err := bundle.Sign(example(t), identity)
	require.NoError(t, err)
	text, err := bundle.Encode(b)
	require.NoError(t, err)
	return text
}

func TestRoundTrip(t *testing.T) {
	text := encoded(t)
	b, err := bundle.Parse(text)
	require.NoError(t, err)
	require.NoError(t, b.Verify())
	require.True(t, bundle.Is(text))
	require.Equal(t, hwm.InstanceID(identity.Public().(ed25519.PublicKey)), b.Instance)
	require.Equal(t, time.Date(2026, 5, 4, 2, 2, 1, 6_000_000, time.UTC), b.When)
	require.Equal(t, []tezos.Kind{tezos.Block, tezos.Attestation}, b.Keys[0].Allow, "sorted")
	require.Equal(t, []int32{10, 11, 12}, []int32{b.Marks[0].Level, b.Marks[1].Level, b.Marks[2].Level})
	require.Len(t, b.Rows(), 3)
	require.Equal(t, hwm.ImportRow{PKH: b.Marks[2].PKH, Kind: tezos.Attestation, Level: 12, Round: 1}, b.Rows()[2])
	again, err := bundle.Encode(b)
	require.NoError(t, err)
	require.Equal(t, string(text), string(again))
}

// TestGolden: what was written once is read and verified for as long as the version stays. Made by Sign with the seed
// of this file; the signature was checked with another implementation of ed25519 (OpenSSL) over "highwater bundle 1\n"
// and the compact JSON.
func TestGolden(t *testing.T) {
	text, err := os.ReadFile("testdata/bundle.json")
	require.NoError(t, err)
	b, err := bundle.Parse(text)
	require.NoError(t, err)
	require.NoError(t, b.Verify())
	require.Equal(t, string(text), string(encoded(t)),
		"the same bundle gives the same bytes and, ed25519 being what it is, signature")
}

// TestGoldenWithHead: a bundle with the head of an audit log, as TestGolden. The bundle without a head stays as it is.
func TestGoldenWithHead(t *testing.T) {
	b := example(t)
	b.AuditHead = &loghead.Head{Record: 48211, Link: loghead.Hash{0x9f, 0x1c, 31: 7}}
	signed, err := bundle.Sign(b, identity)
	require.NoError(t, err)
	made, err := bundle.Encode(signed)
	require.NoError(t, err)
	text, err := os.ReadFile("testdata/bundle-head.json")
	require.NoError(t, err)
	require.Equal(t, string(text), string(made))
	read, err := bundle.Parse(text)
	require.NoError(t, err)
	require.NoError(t, read.Verify())
	require.Equal(t, b.AuditHead, read.AuditHead)
	require.NotContains(t, string(encoded(t)), "audit_head", "absent, and no zero")

	read.AuditHead.Record++
	require.ErrorIs(t, read.Verify(), bundle.ErrSignature)
	link := read.AuditHead.Link.String()
	for old, next := range map[string]string{
		`"record": 48211`: `"record": 0`, "48211": "-1", `"` + link: `"00` + link, link: link[2:], "9f1c": "9F1C",
		`"record"`: `"number"`,
	} {
		require.Contains(t, string(text), old)
		_, err := bundle.Parse([]byte(strings.Replace(string(text), old, next, 1)))
		require.ErrorIs(t, err, bundle.ErrContent, next)
	}
}

// TestNoByteCanBeChanged: each byte of the file is under the signature, or is the signature.
func TestNoByteCanBeChanged(t *testing.T) {
	text := encoded(t)
	for i := range text {
		changed := bytes.Clone(text)
		changed[i] ^= 1
		b, err := bundle.Parse(changed)
		if err == nil {
			err = b.Verify()
			require.ErrorIs(t, err, bundle.ErrSignature, "byte %d", i)
		}
		require.Error(t, err, "byte %d", i)
	}
}

// TestAnotherKeysSignature: the key that signed is the one that is named, and a certificate's signature is not a
// bundle's.
func TestAnotherKeysSignature(t *testing.T) {
	b, err := bundle.Sign(example(t), identity)
	require.NoError(t, err)
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, ed25519.SeedSize))
	b.Instance = hwm.InstanceID(other.Public().(ed25519.PublicKey))
	require.ErrorIs(t, b.Verify(), bundle.ErrSignature)

	b, err = bundle.Sign(example(t), identity)
	require.NoError(t, err)
	unsigned := *b
	unsigned.Signature = ""
	body, err := json.Marshal(unsigned)
	require.NoError(t, err)
	for tag, want := range map[string]error{
		"highwater bundle 1\n": nil, "highwater certificate 1\n": bundle.ErrSignature, "": bundle.ErrSignature,
	} {
		b.Signature = hex.EncodeToString(ed25519.Sign(identity, append([]byte(tag), body...)))
		require.ErrorIs(t, b.Verify(), want, tag)
	}
	for _, text := range []string{"", "00", strings.Repeat("z", 128), strings.Repeat("0", 128)} {
		b.Signature = text
		require.ErrorIs(t, b.Verify(), bundle.ErrSignature, text)
	}
}

func TestRefusedFiles(t *testing.T) {
	good := string(encoded(t))
	replace := func(old, next string) string {
		require.Contains(t, good, old)
		return strings.Replace(good, old, next, 1)
	}
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"nothing":            {"", bundle.ErrContent},
		"null":               {"null", bundle.ErrContent},
		"another format":     {replace("highwater-bundle", "highwater-watermarks"), bundle.ErrContent},
		"a later version":    {replace(`"version": 1`, `"version": 2`), bundle.ErrVersion},
		"no version":         {replace(`"version": 1,`, ``), bundle.ErrVersion},
		"too long":           {good + strings.Repeat(" ", bundle.MaxSize), bundle.ErrContent},
		"something after it": {good + "{}", bundle.ErrContent},
		"a newline after it": {good + "\n", bundle.ErrContent},
		"lines of a DOS":     {strings.ReplaceAll(good, "\n", "\r\n"), bundle.ErrContent},
		"an unknown member":  {replace(`"epoch"`, `"epoc"`), bundle.ErrContent},
		"a member twice":     {replace(`"epoch": 3,`, `"epoch": 9, "epoch": 3,`), bundle.ErrContent},
		"a negative level":   {replace(`"level": 12`, `"level": -12`), bundle.ErrContent},
		"a level as text":    {replace(`"level": 12`, `"level": "12"`), bundle.ErrContent},
		"too large a level":  {replace(`"level": 12`, `"level": 2147483648`), bundle.ErrContent},
		"an unknown kind":    {replace(`"kind": "block"`, `"kind": "delegation"`), bundle.ErrContent},
		"an unknown source":  {replace(`"source": "peer"`, `"source": "hearsay"`), bundle.ErrContent},
		"an unknown role":    {replace(`"role": "active"`, `"role": "king"`), bundle.ErrContent},
		"a missing list": {replace(`"allow": [
        "attestation"
      ]`, `"allow": null`), bundle.ErrContent},
		"a kind twice":        {replace(`        "block",`, `        "attestation",`), bundle.ErrContent},
		"a mark twice":        {replace(`"kind": "block"`, `"kind": "attestation"`), bundle.ErrContent},
		"a time of nobody":    {replace("2026-05-04T02:02:01.006Z", "2026-05-04T02:02:01.0061Z"), bundle.ErrContent},
		"another time zone":   {replace("2026-05-04T02:02:01.006Z", "2026-05-04T03:02:01.006+01:00"), bundle.ErrContent},
		"a terminal's escape": {replace("companion", `com\u001b[1mpanion`), bundle.ErrContent},
		"another key's hash":  {replace(`"public_key": "edpk`, `"public_key": "edpl`), bundle.ErrContent},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := bundle.Parse([]byte(c.text))
			require.ErrorIs(t, err, c.want)
			require.Nil(t, b)
		})
	}
}

// TestSignRefuses what Parse would not read.
func TestSignRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*bundle.Bundle){
		"a mark twice":       func(b *bundle.Bundle) { b.Marks = append(b.Marks, b.Marks[0]) },
		"a key twice":        func(b *bundle.Bundle) { b.Keys = append(b.Keys, b.Keys[0]) },
		"a ceiling twice":    func(b *bundle.Bundle) { b.Ceilings = append(b.Ceilings, b.Ceilings[0]) },
		"no role":            func(b *bundle.Bundle) { b.Role = 0 },
		"no source":          func(b *bundle.Bundle) { b.Marks[0].Source = 0 },
		"a far year":         func(b *bundle.Bundle) { b.When = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"a strange alias":    func(b *bundle.Bundle) { b.Keys[0].Alias = "a\nb" },
		"another key's hash": func(b *bundle.Bundle) { b.Keys[0].PublicKey = b.Keys[1].PublicKey },
	} {
		b := example(t)
		spoil(&b)
		_, err := bundle.Sign(b, identity)
		require.Error(t, err, name)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(encoded(f))
	f.Add([]byte(`{"format":"highwater-bundle","version":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := bundle.Parse(data)
		if err != nil {
			require.Nil(t, b)
			return
		}
		again, err := bundle.Encode(b)
		require.NoError(t, err)
		require.Equal(t, string(data), string(again))
		_ = b.Verify() // must not panic
	})
}
