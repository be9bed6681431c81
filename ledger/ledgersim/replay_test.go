package ledgersim_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/tezos"
	"highwater/ledger/ledgersim"
)

const recordings = "../../testdata/ledger"

var zebra = strings.TrimSpace(strings.Repeat("zebra ", 24))

// replay feeds a recorded file to a device, line by line, and plays the user as its remarks say.
type replay struct {
	t      *testing.T
	device *ledgersim.Device
	count  int // of answers compared
}

func readLines(t *testing.T, name string) []string {
	f, err := os.Open(filepath.Join(recordings, name))
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	var lines []string
	for s := bufio.NewScanner(f); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return lines
}

func unhex(t *testing.T, line string) []byte {
	text, _, _ := strings.Cut(line[3:], "#")
	b, err := hex.DecodeString(strings.TrimSpace(text))
	require.NoError(t, err, line)
	return b
}

func (r *replay) run(lines []string) {
	conn := r.device.Connect()
	for i, line := range lines {
		switch {
		case strings.HasPrefix(line, "=> "):
			require.NoError(r.t, conn.Send(unhex(r.t, line)), line)
		case strings.HasPrefix(line, "<= "):
			got, err := conn.Receive(r.t.Context())
			require.NoError(r.t, err)
			require.Equal(r.t, hex.EncodeToString(unhex(r.t, line)), hex.EncodeToString(got), "line %d", i+1)
			r.count++
		case strings.HasPrefix(line, "# UI:"):
			r.user(line)
		case strings.Contains(line, "power cycle"), strings.Contains(line, "app opened again"):
			r.device.PowerCycle()
			conn = r.device.Connect()
		case strings.Contains(line, "device locks itself"), strings.Contains(line, "locked between"):
			r.device.Lock()
		case strings.Contains(line, "unlocked again"), strings.Contains(line, "after the unlock"):
			r.device.Unlock()
		case strings.Contains(line, "the application's own check alone"):
			r.device.SetSystemPIN(false)
			r.device.Lock()
		}
	}
}

// user does what a remark "# UI: [screen] -> …" tells.
func (r *replay) user(line string) {
	switch {
	case strings.Contains(line, "HWM setting toggled"):
		r.device.SetHWM(strings.Contains(line, "[High Watermark | Disabled] -> [High Watermark | Enabled]"))
	case strings.Contains(line, "[Quit]"):
		r.device.Quit()
	default:
		p, ok := r.device.Prompt()
		require.True(r.t, ok, "no prompt for %s", line)
		shown := strings.NewReplacer(" | ", "", "] -> [", " ", " ", "").Replace(line)
		for _, want := range append([]string{p.Title}, p.Lines...) {
			require.Contains(r.t, shown, strings.ReplaceAll(want, " ", ""), line)
		}
		decision := ledgersim.Reject
		if strings.Contains(line, "[Accept]") {
			decision = ledgersim.Accept
		}
		require.True(r.t, r.device.Answer(decision))
	}
}

func TestRecordingsReplay(t *testing.T) {
	files := map[string]ledgersim.Version{
		"apdu-2.5.0-curve0.txt": ledgersim.V250,
		"apdu-2.5.0-curve1.txt": ledgersim.V250,
		"nvram.txt":             ledgersim.V251,
		"locked.txt":            ledgersim.V251,
	}
	if tezos.HasBLS { // nothing of that curve exists without cgo
		files["apdu-2.5.1-curve4-bls.txt"] = ledgersim.V251
	}
	for name, version := range files {
		t.Run(name, func(t *testing.T) {
			device, err := ledgersim.New(ledgersim.Options{Seed: zebra, Version: version, AllowMainnet: true})
			require.NoError(t, err)
			lines := readLines(t, name)
			r := &replay{t: t, device: device}
			r.run(lines)
			require.Equal(t, bytes.Count([]byte(strings.Join(lines, "\n")), []byte("\n<= ")), r.count)
		})
	}
}
