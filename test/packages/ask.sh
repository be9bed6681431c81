# What the tests of the package and of the container ask a signer at 127.0.0.1:6732, and expect; $key is its key. To be sourced.
# shellcheck shell=bash disable=SC2154
say() { printf -- '--- %s\n' "$*"; }
die() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
has() { grep -qF -e "$2" <<<"$1" || die "\"$2\" is missing in: $1"; }
lacks() { ! grep -qF -e "$2" <<<"$1" || die "\"$2\" stands in: $1"; }

# ask LEVEL BLOCK: the answer's body, and its status in a second line. The question is an attestation of shadownet, of round 0, for the BLOCK of
# that number.
ask() {
  curl -sS -m 20 -H 'Content-Type: application/json' -w '\n%{http_code}\n' "http://127.0.0.1:6732/keys/$key" \
    -d "$(printf '"13d052218e%064d150000%08x00000000%064x"' 0 "$1" "$2")"
}

signs() {
  local answer
  answer=$(ask "$1" 1)
  has "$answer" '"signature":"'
}

refuses() {
  local answer
  answer=$(ask "$1" 2) # another block than that of signs
  lacks "$answer" '"signature"'
  has "$answer" 409
}
