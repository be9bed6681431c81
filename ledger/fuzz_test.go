package ledger

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/tezos"
)

// recorded gives the answers of a recording, without status words, and its commands.
func recorded(tb testing.TB, name string) (commands, answers [][]byte) {
	f, err := os.Open("../testdata/ledger/" + name)
	require.NoError(tb, err)
	defer func() { require.NoError(tb, f.Close()) }()
	for s := bufio.NewScanner(f); s.Scan(); {
		text, _, _ := strings.Cut(s.Text(), "   #")
		if len(text) < 4 || text[2] != ' ' || (text[:2] != "=>" && text[:2] != "<=") {
			continue
		}
		b, err := hex.DecodeString(strings.TrimSpace(text[3:]))
		require.NoError(tb, err)
		if text[:2] == "=>" {
			commands = append(commands, b)
		} else {
			answers = append(answers, b)
		}
	}
	return commands, answers
}

func FuzzAnswers(f *testing.F) {
	for _, name := range []string{"apdu-2.5.0-curve0.txt", "apdu-2.5.0-curve1.txt", "apdu-2.5.1-curve4-bls.txt"} {
		_, answers := recorded(f, name)
		for _, a := range answers {
			f.Add(a[:len(a)-swSize])
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, err := parseVersion(b); err == nil {
			require.Len(t, b, 4)
		} else {
			require.Zero(t, v)
		}
		if name, version, err := parseAppName(b); err != nil {
			require.Empty(t, name+version)
		}
		if curve, path, err := parseAuthKey(b); err == nil && path != nil {
			require.Equal(t, b, append([]byte{byte(curve)}, path.Bytes()...))
		} else {
			require.Nil(t, path)
		}
		if m, err := parseMarks(b); err == nil {
			out := binary.BigEndian.AppendUint32(nil, m.Main.Level)
			out = binary.BigEndian.AppendUint32(out, m.Main.Round)
			out = binary.BigEndian.AppendUint32(out, m.Test.Level)
			out = binary.BigEndian.AppendUint32(out, m.Test.Round)
			require.Equal(t, b, append(out, m.Chain[:]...))
		} else {
			require.Zero(t, m)
		}
		for curve := Ed25519; curve < BLS12381; curve++ {
			if k, err := parsePublicKey(curve, b); err != nil {
				require.Nil(t, k)
			}
		}
	})
}

func FuzzDER(f *testing.F) {
	_, answers := recorded(f, "apdu-2.5.0-curve1.txt")
	for _, a := range answers {
		if len(a) > 68 && a[0]&^1 == 0x30 {
			f.Add(a[:len(a)-swSize])
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, curve := range []Curve{Secp256k1, P256} {
			raw, err := parseDER(curve, b)
			if err != nil {
				require.Nil(t, raw)
				continue
			}
			require.Len(t, raw, 64)
			again, err := parseDER(curve, toDER(raw))
			require.NoError(t, err)
			require.Equal(t, raw, again)
		}
	})
}

// toDER is the plain encoding of r ‖ s.
func toDER(raw []byte) []byte {
	var body []byte
	for _, half := range [][]byte{raw[:32], raw[32:]} {
		n := bytes.TrimLeft(half, "\x00")
		if n[0]&0x80 != 0 {
			n = append([]byte{0}, n...)
		}
		body = append(append(body, 2, byte(len(n))), n...)
	}
	return append([]byte{0x30, byte(len(body))}, body...)
}

func FuzzLocator(f *testing.F) {
	f.Add("ledger://calculating-meerkat-straight-beetle/ed25519/0h/0h")
	f.Add("ledger://tz1dyX3B1CFYa2DfdFLyPtiJCfQRUgPVME6E/P-256/0'/1")
	f.Add("ledger://a-b-c-d/bip25519")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseLocator(text)
		if err != nil {
			require.Zero(t, l)
			return
		}
		again, err := ParseLocator(l.String())
		require.NoError(t, err, l.String())
		require.Equal(t, l, again)
	})
}

func FuzzPath(f *testing.F) {
	f.Add(DefaultPath.Bytes(), "0h/0h")
	f.Fuzz(func(t *testing.T, b []byte, text string) {
		if p, err := PathFromBytes(b); err == nil {
			require.Equal(t, b, p.Bytes())
			again, err := ParsePath(p.String())
			require.NoError(t, err, p.String())
			require.Equal(t, p, again)
		} else {
			require.Nil(t, p)
		}
		if p, err := ParsePath(text); err == nil {
			again, err := PathFromBytes(p.Bytes())
			require.NoError(t, err)
			require.Equal(t, p, again)
		}
	})
}

// FuzzAssembler feeds reports in any order; what comes out is bounded, and what was cut into reports comes out whole.
func FuzzAssembler(f *testing.F) {
	commands, _ := recorded(f, "hid.txt")
	for _, c := range commands {
		f.Add(c, c[:20])
	}
	f.Fuzz(func(t *testing.T, stream, answer []byte) {
		in := &assembler{}
		for len(stream) >= ReportSize {
			out, err := in.add(stream[:ReportSize])
			require.LessOrEqual(t, len(out), maxAnswer)
			if err != nil {
				require.Nil(t, out)
				break
			}
			stream = stream[ReportSize:]
		}
		if len(answer) < swSize || len(answer) > maxAnswer {
			return
		}
		in = &assembler{}
		var got []byte
		for _, r := range encodeReports(answer) {
			require.Nil(t, got)
			out, err := in.add(r)
			require.NoError(t, err)
			got = out
		}
		require.Equal(t, answer, got)
	})
}

func FuzzTCPAnswer(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 7, 0x90, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		out, err := readTCPAnswer(bytes.NewReader(b))
		if err != nil {
			require.Nil(t, out)
			return
		}
		require.Equal(t, b[:4+len(out)], append(binary.BigEndian.AppendUint32(nil, uint32(len(out)-swSize)), out...))
	})
}

// TestRecordedReports holds our cutting of commands against the recorded reports of another host.
func TestRecordedReports(t *testing.T) {
	reports, _ := recorded(t, "hid.txt")
	payload, err := hex.DecodeString("8002000111048000002c800006c18000000080000000")
	require.NoError(t, err)
	require.Contains(t, reports, encodeReports(payload)[0])
	require.Contains(t, reports, encodeReports([]byte{0x80, 0, 0, 0, 0})[0])
}

// TestRecordedSignatures verifies every signature that the real app made, through the parsing that the driver does.
func TestRecordedSignatures(t *testing.T) {
	for name, curve := range map[string]Curve{"apdu-2.5.0-curve0.txt": Ed25519, "apdu-2.5.0-curve1.txt": Secp256k1} {
		commands, answers := recorded(t, name)
		key, err := parsePublicKey(curve, answers[8][:len(answers[8])-swSize])
		require.NoError(t, err)
		signatures := map[string]bool{}
		for _, a := range answers {
			signatures[string(a[:len(a)-swSize])] = true
		}
		found := 0
		for _, c := range commands {
			if len(c) < 6 || c[1] != 0x0f || c[2] != p1Last {
				continue
			}
			digest := tezos.Digest(c[5:])
			for a := range signatures {
				if sig, err := parseSignature(curve, digest, []byte(a)); err == nil {
					require.NoError(t, key.Verify(c[5:], sig))
					found++
				}
			}
		}
		require.Equal(t, 2, found, name)
	}
}
