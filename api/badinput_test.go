package api_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/api"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
)

// bad is one bad input: the bytes of a whole request. KEY stands for the key's path, HEX for a payload that would be
// signed.
type bad struct {
	name    string
	request string
	// status is what comes back. Those that the HTTP library itself refuses (plain) have its text.
	status int
	plain  bool
	says   string
}

// badBodies are bodies of an otherwise good request; all are 400, in octez's shape.
func badBodies(good string) map[string]string {
	var squeezed bytes.Buffer
	z := gzip.NewWriter(&squeezed)
	_, _ = z.Write([]byte(`"` + good + `"`))
	_ = z.Close()
	return map[string]string{
		"empty":                      "",
		"only white space":           " \n\t ",
		"hex without quotes":         good,
		"digits without quotes":      "13",
		"empty string":               `""`,
		"null":                       "null",
		"true":                       "true",
		"a number":                   "1e99",
		"an array":                   `["` + good + `"]`,
		"an object":                  `{"data":"` + good + `"}`,
		"an object with a key twice": `{"a":"` + good + `","a":"` + good + `"}`,
		"two values":                 `"` + good + `" "` + good + `"`,
		"a value and a bracket":      `"` + good + `"]`,
		"a value and a NUL":          `"` + good + "\"\x00",
		"a NUL inside":               `"` + good[:10] + "\x00" + good[10:] + `"`,
		"an escaped NUL":             `"` + good[:10] + `\u0000` + good[10:] + `"`,
		"a line break inside":        `"` + good[:10] + "\n" + good[10:] + `"`,
		"an escaped line break":      `"` + good[:10] + `\n` + good[10:] + `"`,
		"a space inside":             `"` + good[:10] + " " + good[10:] + `"`,
		"a space before":             `" ` + good + `"`,
		"without its last quote":     `"` + good,
		"without its first quote":    good + `"`,
		"single quotes":              `'` + good + `'`,
		"a byte order mark":          "\xef\xbb\xbf\"" + good + `"`,
		"a byte order mark inside":   "\"\xef\xbb\xbf" + good + `"`,
		"UTF-16":                     utf16(`"` + good + `"`),
		"invalid UTF-8":              "\"" + good[:4] + "\xff\xfe" + good[4:] + "\"",
		"a lone surrogate":           `"` + good[:4] + `\ud800` + good[4:] + `"`,
		"a bad escape":               `"` + good + `\x31"`,
		"0x":                         `"0x` + good + `"`,
		"0X":                         `"0X` + good + `"`,
		"odd":                        `"` + good[1:] + `"`,
		"one digit":                  `"1"`,
		"no hex":                     `"` + strings.Replace(good, "1", "g", 1) + `"`,
		"unicode digits":             `"` + strings.ReplaceAll(good, "1", "１") + `"`,
		"arabic digits":              `"` + strings.ReplaceAll(good, "1", "١") + `"`,
		"superscript digits":         `"` + strings.ReplaceAll(good, "2", "²") + `"`,
		"a minus":                    `"-` + good + `"`,
		"underscores":                `"` + good[:2] + "_" + good[2:] + `"`,
		"base64":                     `"E1mXZg=="`,
		"base58check":                `"edsigtXomBKi5CTRf5cjATJWSyaRvhfYNHqSUGrn4SdbYRcGwQrUGjzEfQDTuqHhuA8b2d8NarZjz8TRf65WkpQmo423BtomS8Q"`,
		"deep arrays":                strings.Repeat("[", 30000) + strings.Repeat("]", 30000),
		"deep objects":               strings.Repeat(`{"a":`, 10000) + "1" + strings.Repeat("}", 10000),
		"a comment":                  `/* */"` + good + `"`,
		"XML":                        `<data>` + good + `</data>`,
		"a form":                     "data=" + good,
		"compressed":                 squeezed.String(),
		"random bytes":               string([]byte{0xde, 0xad, 0xbe, 0xef, 0x00, 0x01}),
		"only a watermark":           `"13"`,
		"an unknown watermark":       `"ff` + good[2:] + `"`,
		"Michelson":                  `"05` + good[2:] + `"`,
		"Michelson data":             `"05` + good[2:] + `"`,
		"an old endorsement":         `"02` + good[2:] + `"`,
		"an authentication":          `"04` + good[2:] + `"`,
		"a byte too many":            `"` + good + `00"`,
		"a byte too few":             `"` + good[:len(good)-2] + `"`,
		"a body of 65,537 bytes":     `"` + good + `"` + strings.Repeat("\n", 65537-len(good)-2),
		"a payload of 32 KiB":        `"` + strings.Repeat("13", 32000) + `"`,
	}
}

func utf16(s string) string {
	var out strings.Builder
	out.WriteString("\xff\xfe")
	for _, c := range s {
		out.WriteRune(c)
		out.WriteByte(0)
	}
	return out.String()
}

func post(target, body string, headers ...string) string {
	return request("POST", target, "HTTP/1.1", body, append(headers, "Connection: close")...)
}

// badRequests are bad in another way than their body.
func badRequests() []bad {
	const notFound, notAllowed, undecodable = http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusBadRequest
	body := `"HEX"`
	get := func(target string) string {
		return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
	}
	out := []bad{
		{"..", post("/x/..KEY", body), notFound, false, "nothing"},
		{"../ encoded", post("/x/%2e%2eKEY", body), notFound, false, "nothing"},
		{"a dot", post("/.KEY", body), notFound, false, "nothing"},
		{"encoded slash", post("/keys%2F"+"ADDRESS", body), notFound, false, "nothing"},
		{"encoded slash at the end", post("KEY%2F", body), undecodable, false, "address"},
		{"something behind", post("KEY/sign", body), notFound, false, "nothing"},
		{"upper case", post("/KEYS/ADDRESS", body), notFound, false, "nothing"},
		{"backslash", post(`\keys\ADDRESS`, body), undecodable, true, ""},
		{"no address", post("/keys/", body), notFound, false, "nothing"},
		{"only keys", post("/keys", body), notFound, false, "nothing"},
		{"an address cut", post("/keys/tz1", body), undecodable, false, "address"},
		{"an address mistyped", post("KEY1", body), undecodable, false, "address"},
		{"an address with a space", post("KEY%20", body), undecodable, false, "address"},
		{"an address with a NUL", post("KEY%00", body), undecodable, false, "address"},
		{"an address in unicode", post("/keys/%E2%98%83", body), undecodable, false, "address"},
		{"invalid UTF-8 as address", post("/keys/%ff%fe", body), undecodable, false, "address"},
		{"a bad escape in the path", post("/keys/%zz", body), undecodable, true, ""},
		{
			"a public key as address", post("/keys/edpkuBknW28nW72KG6RoHtYW7p12T6GKc7nAbwYX5m8Wd9sDVC9yav", body), undecodable,
			false, "address",
		},
		{"an originated account", post("/keys/KT1PWx2mnDueood7fEmfbBDKx1D9BAnnXitn", body), undecodable, false, "address"},
		{"a tz5 address", post("/keys/"+tz5, body), notFound, false, "ML-DSA-44"},
		{"a long address", post("/keys/"+strings.Repeat("1", 8000), body), undecodable, false, "address"},
		{"a fragment", post("KEY%23x", body), undecodable, false, "address"},
		{"a bad query", post("KEY?%zz", body), undecodable, false, "query"},
		{"a semicolon in the query", post("KEY?a=1;b=2", body), undecodable, false, "query"},
		{"root", get("/"), notFound, false, "nothing"},
		{"favicon", get("/favicon.ico"), notFound, false, "nothing"},
		{"metrics", get("/metrics"), notFound, false, "nothing"},
		{"the admin API", get("/v1/status"), notFound, false, "nothing"},
		{"an act of the admin API", post("/v1/standby", "{}"), notFound, false, "nothing"},
		{"healthz", get("/healthz"), notFound, false, "nothing"},
		{"text", post("KEY", body, "Content-Type: text/plain"), http.StatusUnsupportedMediaType, false, "text/plain"},
		{
			"a form", post("KEY", body, "Content-Type: application/x-www-form-urlencoded"), http.StatusUnsupportedMediaType,
			false, "json",
		},
		{
			"JSON and text", post("KEY", body, "Content-Type: application/json", "Content-Type: text/plain"),
			http.StatusUnsupportedMediaType, false, "text/plain",
		},
		{"a type that is none", post("KEY", body, "Content-Type: ;"), http.StatusUnsupportedMediaType, false, "json"},
		{"a type without a word", post("KEY", body, "Content-Type:"), http.StatusUnsupportedMediaType, false, "json"},
		{"a web page", post("KEY", body, "Origin: http://evil"), http.StatusForbidden, false, "Origin"},
		{"a web page on this machine", post("KEY", body, "Origin: http://localhost"), http.StatusForbidden, false, "Origin"},
		{"a sandboxed web page", post("KEY", body, "Origin: null"), http.StatusForbidden, false, "Origin"},
		{"an empty Origin", post("KEY", body, "Origin:"), http.StatusForbidden, false, "Origin"},
		{"a name that points here", post("http://evil.example:6732KEY", body), http.StatusForbidden, false, "evil.example"},
		{"another machine's address", post("http://192.0.2.1KEY", body), http.StatusForbidden, false, "192.0.2.1"},
		{"a long path", get("/" + strings.Repeat("a", 10000)), notFound, false, "nothing"},
		{"a path of NULs", get("/%00%00"), notFound, false, "nothing"},
		{"POST known_keys", post("/known_keys", body), notAllowed, false, "POST"},
		{"POST authorized_keys", post("/authorized_keys", body), notAllowed, false, "POST"},
		{"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", notFound, false, "nothing"},
		{
			"CONNECT", "CONNECT localhost:6732 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", notFound, false,
			"nothing",
		},
		{"an unknown method", request("SIGN", "KEY", "HTTP/1.1", body, "Connection: close"), notAllowed, false, "SIGN"},
		{"a method in lower case", request("post", "KEY", "HTTP/1.1", body, "Connection: close"), notAllowed, false, "post"},
		{"a method that is none", request("P(ST", "KEY", "HTTP/1.1", body), undecodable, true, ""},
		{"no host", "POST KEY HTTP/1.1\r\nContent-Length: 0\r\n\r\n", undecodable, true, ""},
		{"two hosts", post("KEY", body, "Host: other"), undecodable, true, ""},
		{"a host that is none", "GET KEY HTTP/1.1\r\nHost: a b\r\n\r\n", undecodable, true, ""},
		{
			"a length that is none", "POST KEY HTTP/1.1\r\nHost: localhost\r\nContent-Length: ten\r\n\r\n" + body, undecodable,
			true, "",
		},
		{
			"a negative length", "POST KEY HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n" + body, undecodable,
			true, "",
		},
		{
			"a length beyond the limit, and nothing behind it",
			"POST KEY HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n", undecodable, false, "8192",
		},
		{
			"a length beyond all numbers",
			"POST KEY HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n", undecodable, true, "",
		},
		{"two lengths", post("KEY", body, "Content-Length: 3"), undecodable, true, ""},
		{
			"an unknown encoding", "POST KEY HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n" + body,
			http.StatusNotImplemented, true, "",
		},
		{"bad chunks", chunked("KEY", "zz\r\n"+body+"\r\n0\r\n\r\n"), undecodable, false, "body"},
		{"a huge chunk", chunked("KEY", "fffffffffffffffff\r\n"), undecodable, false, "body"},
		{"chunks beyond the limit", chunked(
			"KEY", strings.Repeat("1000\r\n"+strings.Repeat(" ", 0x1000)+"\r\n", 3)+"0\r\n\r\n"), undecodable, false, "8192"},
		{"gzip", post("KEY", "\x1f\x8b\x08\x00", "Content-Encoding: gzip"), undecodable, false, "JSON"},
		{
			"a huge header", post("KEY", body, "X-Long: "+strings.Repeat("a", 64<<10)), http.StatusRequestHeaderFieldsTooLarge,
			true, "",
		},
		{
			"many headers", post("KEY", body, strings.Repeat("X-A: b\r\n", 8000)+"X-B: c"),
			http.StatusRequestHeaderFieldsTooLarge, true, "",
		},
		{"a header without a colon", post("KEY", body, "nonsense"), undecodable, true, ""},
		{"a NUL in a header", post("KEY", body, "X-A: \x00"), undecodable, true, ""},
		{"a folded header", post("KEY", body, "X-A: b\r\n c"), http.StatusOK, true, "signature"},
		{"an expectation", post("KEY", body, "Expect: the-unexpected"), http.StatusExpectationFailed, true, ""},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", notAllowed, false, "PRI"},
		{"HTTP/3.0", "GET / HTTP/3.0\r\n\r\n", http.StatusHTTPVersionNotSupported, true, ""},
		{"HTTP/0.9", "GET /\r\n\r\n", undecodable, true, ""},
		{"no HTTP", "hello\r\n\r\n", undecodable, true, ""},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", undecodable, true, ""},
		{"SSH", "SSH-2.0-OpenSSH_9.2\r\n\r\n", undecodable, true, ""},
		{"NULs", strings.Repeat("\x00", 100) + "\r\n\r\n", undecodable, true, ""},
	}
	return out
}

// tz5 is an address that no device can sign for.
var tz5 = base58check([]byte{6, 161, 169}, make([]byte, 20))

func chunked(target, chunks string) string {
	return "POST " + target + " HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" +
		chunks
}

// TestBadInput sends some hundred and twenty bad requests. Each is answered with a clear error, none moves a mark, and
// after each a good one is signed at once: at the very level that the bad one was about.
func TestBadInput(t *testing.T) {
	r := newRig(t).activate()
	at := serve(t, r.octez())
	key := r.keys[tezos.P256]
	path := "/keys/" + key.Hash().String()
	goodPayload := func(level int32) []byte { return step(tezos.Attestation, level).Payload(tezos.P256) }

	var all []bad
	for name, body := range badBodies(hex.EncodeToString(goodPayload(1_000_000))) {
		all = append(all, bad{"body: " + name, post("KEY", body), http.StatusBadRequest, false, ""})
	}
	all = append(all, badRequests()...)
	all = append(all, bad{"an operation", post("KEY", `"03HEX"`), http.StatusForbidden, false, "0x03"})
	require.Greater(t, len(all), 115)
	for i, b := range all {
		level := int32(2*i + 1)
		wire := strings.NewReplacer("KEY", path, "ADDRESS", key.Hash().String(), "HEX",
			hex.EncodeToString(goodPayload(level))).Replace(b.request)
		wire = fixLength(wire, b.request)
		start := time.Now()
		got := raw(t, at, wire)
		require.Equal(t, b.status, got.status, "%s: %s", b.name, got.body)
		require.NotContains(t, []int{429, 502, 503}, got.status, b.name)
		require.Contains(t, got.body, b.says, b.name)
		require.Less(t, len(got.body), 1000, "%s: an error that a terminal can show: %s", b.name, got.body)
		if !b.plain {
			text := got.message(t)
			require.NotContains(t, text, "\x00", b.name)
			require.NotContains(t, text, "\n", b.name)
		}
		if got.status != http.StatusOK {
			require.NotContains(t, got.body, "edsig", b.name)
			ask(t, at, "POST", path, hexBody(goodPayload(level))).signature(t, key, goodPayload(level))
		}
		require.Less(t, time.Since(start), 2*time.Second, "%s stalls", b.name)
	}
}

// fixLength makes the Content-Length of the good requests in the table right after their words were replaced.
func fixLength(wire, before string) string {
	head, body, _ := strings.Cut(wire, "\r\n\r\n")
	oldHead, oldBody, _ := strings.Cut(before, "\r\n\r\n")
	old := fmt.Sprintf("Content-Length: %d", len(oldBody))
	if !strings.Contains(oldHead, old) {
		return wire
	}
	return strings.Replace(head, old, fmt.Sprintf("Content-Length: %d", len(body)), 1) + "\r\n\r\n" + body
}

// TestUnusualButGood: what looks odd and is allowed is signed.
func TestUnusualButGood(t *testing.T) {
	r := newRig(t).activate()
	at := serve(t, r.octez())
	key := r.keys[tezos.Ed25519]
	path := "/keys/" + key.Hash().String()
	escaped := func(h string) string { return `"\u0031` + h[1:] + `"` } // the watermark's "1"
	for i, f := range []func(h string) string{
		func(h string) string { return post(path, `"`+strings.ToUpper(h)+`"`) },
		func(h string) string { return post(path, `"`+strings.ToUpper(h[:40])+h[40:]+`"`) },
		func(h string) string { return post(path, " \r\n\t\""+h+"\"\r\n \n") },
		func(h string) string { return post(path, escaped(h)) },
		func(h string) string { return post("http://LocalHost:1"+path, `"`+h+`"`) },
		func(h string) string { return post("http://127.9.9.9:1"+path+"?version=3", `"`+h+`"`) },
		func(h string) string { return post(path+"?", `"`+h+`"`) },
		func(h string) string { return post("/keys/%74%7a"+path[8:], `"`+h+`"`) },
		func(h string) string {
			return chunked(path, "1\r\n\"\r\n"+fmt.Sprintf("%x", len(h)+1)+"\r\n"+h+"\"\r\n0\r\n\r\n")
		},
		func(h string) string { return post("http://[::1]:6732"+path, `"`+h+`"`) },
		func(h string) string { return post("/"+path, `"`+h+`"`) },
		func(h string) string { return post("//keys///"+path[6:]+"//", `"`+h+`"`) },
		func(h string) string { return post("//keys/%74%7a"+path[8:]+"/", `"`+h+`"`) },
		func(h string) string {
			return post(path, `"`+h+`"`, `Content-Type: Application/JSON; charset="utf-8"`, "Accept: image/png")
		},
		func(h string) string {
			return post(path, `"`+h+`"`, "X-Forwarded-For: 1.2.3.4", "Referer: http://evil")
		},
		func(h string) string { return post(path, `"`+h+`"`, "Content-Encoding: identity") },
	} {
		payload := step(tezos.Attestation, int32(i)+1).Payload(tezos.Ed25519)
		raw(t, at, f(hex.EncodeToString(payload))).signature(t, key, payload)
	}
	// Expect: 100-continue is curl's way with longer bodies.
	payload := step(tezos.Attestation, 100).Payload(tezos.Ed25519)
	conn := dial(t, at)
	head, body, _ := strings.Cut(post(path, hexBody(payload), "Expect: 100-continue"), "\r\n\r\n")
	from := bufio.NewReader(conn)
	_, err := conn.Write([]byte(head + "\r\n\r\n"))
	require.NoError(t, err)
	line, err := from.ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "100 Continue")
	_, err = from.ReadString('\n')
	require.NoError(t, err)
	_, err = conn.Write([]byte(body))
	require.NoError(t, err)
	readReply(t, from, "POST").signature(t, key, payload)
}

// FuzzDecodePayload: what is accepted is the hex that it is, and an error leaves nothing.
func FuzzDecodePayload(f *testing.F) {
	f.Add([]byte(`"13"`))
	f.Add([]byte("\"DEADbeef\"\n"))
	f.Add([]byte(`"\u0031\u0033"`))
	f.Add([]byte(`null`))
	f.Add([]byte(`"0x13"`))
	f.Add([]byte{0xef, 0xbb, 0xbf, '"', '"'})
	for _, body := range badBodies(hex.EncodeToString(step(tezos.Block, 1).Payload(tezos.Ed25519))) {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		payload, err := api.DecodePayload(body)
		if err != nil {
			require.Nil(t, payload)
			require.Less(t, len(err.Error()), 200)
			return
		}
		again, err := api.DecodePayload([]byte(hexBody(payload)))
		require.NoError(t, err)
		require.Equal(t, payload, again)
		if !bytes.Contains(body, []byte(`\`)) {
			text := bytes.Trim(body, " \t\r\n")
			require.Equal(t, hexBody(payload), strings.ToLower(string(text)))
		}
	})
}

// FuzzOctez gives the handler whatever a client could send behind the request line; nothing but a known status comes
// back, always in octez's shape.
func FuzzOctez(f *testing.F) {
	h := api.NewAnswers(api.OctezConfig{Signer: nobody{}, KnownKeys: true, ProvePossession: true}).HTTP()
	key, err := softkey.New(tezos.Ed25519, bytes.Repeat([]byte{1}, softkey.MinSeed))
	require.NoError(f, err)
	address := key.PublicKey().Hash().String()
	f.Add("POST", "/keys/"+address, "version=3", []byte(`"13"`))
	f.Add("GET", "/keys/"+address, "", []byte(nil))
	f.Add("GET", "/bls_prove_possession/"+address, "bls_pk=x", []byte(nil))
	f.Add("OPTIONS", "*", "%zz", []byte("{}"))
	f.Fuzz(func(t *testing.T, method, path, query string, body []byte) {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(body))
		req.Method, req.URL.Path, req.URL.RawQuery = method, path, query
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		got := reply{w.Code, w.Header(), w.Body.String()}
		require.Contains(t, []int{200, 400, 403, 404, 405}, got.status, got.body)
		if got.status != http.StatusOK {
			got.message(t)
		}
	})
}
