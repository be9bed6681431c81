package api_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/api"
	"highwater/api/pagetest"
)

// pageOf is the page of a state.
func pageOf(t *testing.T, s pagetest.Shown) reply {
	t.Helper()
	return ask(t, serve(t, api.NewMonitor(s.Monitor(), api.NewMetrics())), "GET", "/", "")
}

func TestPageInEveryState(t *testing.T) {
	for _, s := range pagetest.States() {
		t.Run(s.Name, func(t *testing.T) {
			got := pageOf(t, s)
			require.Equal(t, http.StatusOK, got.status)
			require.Contains(t, got.body, "<title>"+s.Title+"</title>")
			require.Contains(t, got.body, `<p class="word `+s.Class+`">`+s.Text)
			require.Contains(t, got.body, `<link rel="icon" href="data:image/svg&#43;xml,`)
			require.Contains(t, got.body, "</html>", "the template ends")
			require.NotContains(t, got.body, "ZgotmplZ")
			own := strings.NewReplacer("http:%2F%2Fwww.w3.org", "", "url(#", "", `<script src="/live.js" defer>`, "").
				Replace(got.body)
			for _, foreign := range []string{"http://", "https://", "<script", "@import", "url(", "style="} {
				require.NotContains(t, own, foreign)
			}
			require.Less(t, len(got.body), 40<<10)
			inOrder(t, got.body, s.Text, "Who may sign", "<dt>May sign", "Horizon of the keys", "Devices", "Keys and watermarks")
			if len(s.Status.Alarms) > 0 {
				inOrder(t, got.body, "look for a second signer", "alarm: elsewhere", s.Text, "Who may sign")
			}
		})
	}
}

// TestNotReadyTellsHowMuch: nothing is signed, or some keys sign on.
func TestNotReadyTellsHowMuch(t *testing.T) {
	s := pagetest.States()[0]
	s.Status.Ready, s.Status.NotReady = false, []string{"device left: locked: enter the PIN"}
	require.Contains(t, pageOf(t, s).body, "✗ Not ready. Not every key signs:")
	s.Status.Signing, s.Status.Store = false, "input/output error"
	require.Contains(t, pageOf(t, s).body, "✗ Not ready. Nothing is signed now:")
}

// inOrder finds the words in the text, one after the other.
func inOrder(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		_, after, ok := strings.Cut(text, word)
		require.True(t, ok, "%q is missing, or comes earlier", word)
		text = after
	}
}

// TestPageWithoutAScript: the page renews itself, and has all that the script would show.
func TestPageWithoutAScript(t *testing.T) {
	got := pageOf(t, pagetest.States()[0]).body
	require.Contains(t, got, `<noscript><meta http-equiv="refresh" content="5"></noscript>`)
	require.NotContains(t, strings.ReplaceAll(got, "<noscript><meta http-equiv", ""), "http-equiv")
	require.Regexp(t, `<time class="age" datetime="[^"]+">\d+s ago</time>`, got)
}

// TestThePagesPolicy: the page runs its own script, uses its own style, and asks this address alone.
func TestThePagesPolicy(t *testing.T) {
	got := pageOf(t, pagetest.States()[0])
	policy := got.header.Get("Content-Security-Policy")
	_, rest, _ := strings.Cut(got.body, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	require.Equal(t, "default-src 'none'; script-src 'self'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+
		"'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'", policy)
}

func TestPageShowsTheLastLevels(t *testing.T) {
	got := pageOf(t, pagetest.States()[0]).body
	for _, want := range []string{
		`aria-label="levels 8123257 to 8123456: 192 signed, 1 replayed, 1 refused, 1 conflict, 2 failed, ` +
			`2 missed on chain, 1 no request"`,
		`viewBox="0 0 200 64"`, `<path fill="url(#replayed)" d="M24 0h8v8h-8z"/>`,
		`<path fill="url(#no-request)" d="M0 48h8v8h-8z"/>`, `<pattern id="replayed" class="replayed" `,
		"p50 42 ms, p99 118 ms; device 93 %, disk 2 %",
		"<li>level 8123408: missed on chain; nobody asked for a signature</li>",
		"<li>level 8123358: missed on chain; signed here at 03:50:06 UTC, in 43 ms</li>",
		"<li>level 8123437, round 0: refused at 03:58:00 UTC (not_above)</li>",
		"<li>level 8123317, round 0: conflict at 03:46:00 UTC (conflict)</li>",
		"<h3>consensus · attestation</h3>",
	} {
		require.Contains(t, got, want)
	}
	require.Equal(t, 3, strings.Count(got, "<figure "))
}

// TestPageTellsTheNextRights: with a countdown, and the answer to the question of a restart.
func TestPageTellsTheNextRights(t *testing.T) {
	got := pageOf(t, pagetest.States()[0]).body
	require.Regexp(t, `Do not restart now. A pause of 1 min 18 s begins <time class="left" datetime="[^"]+">in 2\d s</time>.`,
		got)
	require.Regexp(t, `<td>consensus · block</td><td>8123756</td><td><time class="left" datetime="[^"]+">in 1 min `, got)
}

// TestPageOfManyKeysIsBounded: the page of a hundred keys stays small, and /history has all of them.
func TestPageOfManyKeysIsBounded(t *testing.T) {
	s := pagetest.States()[0]
	one := s.Series
	for len(s.Series) < 300 {
		s.Series = append(s.Series, one...)
	}
	at := serve(t, api.NewMonitor(s.Monitor(), api.NewMetrics()))
	got := ask(t, at, "GET", "/", "").body
	require.Less(t, len(got), 150<<10)
	require.Contains(t, got, `264 more are at <a href="/history">/history</a>.`)
	require.Equal(t, 300, strings.Count(ask(t, at, "GET", "/history", "").body, `"squares"`))
}
