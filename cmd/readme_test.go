package cmd

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/test/harness"
)

// asCurl asks as `curl [-fs] [-d BODY | --json BODY] URL` does, without curl; and ends the daemon with the shell.
const asCurl = `trap 'kill %1; wait' EXIT
curl() {
  local rest=${!#} at verb='GET' body='' type='application/x-www-form-urlencoded'
  case $1 in
  -d) verb='POST' body=$2 ;;
  --json) verb='POST' body=$2 type='application/json' ;;
  esac
  rest=${rest#http://} at=${rest%%/*}
  { exec 3<>"/dev/tcp/${at%:*}/${at#*:}"; } 2>/dev/null || return 7
  printf '%s /%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s' \
    "$verb" "${rest#*/}" "$type" "${#body}" "$body" >&3
  cat <&3
}
`

// firstSignature gives the commands of the README's part "To a first signature", without the build and without octez.
func firstSignature(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	_, part, ok := strings.Cut(string(text), "## To a first signature\n")
	require.True(t, ok)
	part, _, _ = strings.Cut(part, "\nKeys that signed elsewhere")
	var commands []string
	for line := range strings.Lines(part) {
		if command, shown := strings.CutPrefix(line, "    "); shown && !strings.HasPrefix(command, "make ") {
			commands = append(commands, command)
		}
	}
	return strings.Join(commands, "")
}

// TestReadmeLeadsToASignature: the commands of the README, pasted as one text, lead from nothing to a signature. Only
// the address is another, and the program that posts the request.
func TestReadmeLeadsToASignature(t *testing.T) {
	address, err := harness.FreeAddress(t.Context())
	require.NoError(t, err)
	commands := firstSignature(t)
	require.Contains(t, commands, "curl --json ")
	commands = strings.ReplaceAll(commands, "127.0.0.1:6732", address)
	commands = strings.Replace(commands, "[[device]]", "[server]\nlisten = \""+address+"\"\n[[device]]", 1)
	dir := t.TempDir()
	bash := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", asCurl+commands)
	bash.Dir = dir
	bash.Env = append(os.Environ(), "HIGHWATER_CONFIG="+dir+"/highwater.toml", "NO_COLOR=1")
	out, err := bash.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), `{"signature":"edsig`)
	require.Regexp(t, `attestation +8000001 +0 .* signed `, string(out))
}
