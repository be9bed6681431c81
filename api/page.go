package api

import (
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/operate"
)

//go:embed status.html
var statusHTML string

//go:embed page.css
var pageCSS string

//go:embed live.js
var liveJS []byte

var statusPage = template.Must(template.New("status").Parse(statusHTML))

// partNames are the parts of the page that a script replaces: templates, and ids of the document.
var partNames = []string{"state", "alarms", "who", "facts", "rights", "levels", "devices", "keys"}

// policy lets the page run its own script, and use its own style; the script may ask this address alone.
var policy = func() string {
	style := sha256.Sum256([]byte(pageCSS))
	return "default-src 'none'; script-src 'self'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(style[:]) +
		"'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

// pageBuild names the page's template, style and script: the script loads the page anew when the build changes.
var pageBuild = func() string {
	sum := sha256.Sum256([]byte(statusHTML + pageCSS + string(liveJS)))
	return hex.EncodeToString(sum[:4])
}()

// maxCharts bounds the squares on the page; /history has all.
const maxCharts = 36

// pageView is the status with its history, as the page shows both.
type pageView struct {
	operate.Status
	State  pageState
	Charts []chart
	Left   int // charts left out
	Cards  []keyCard
	Live   bool // the script writes ages
}

// pageState is the state of the instance in one look.
type pageState struct {
	Class string // good, calm, bad
	Sign  string
	Word  string // of the title
	Text  string // of the page
}

// viewPage reads what the page shows.
func viewPage(ctx context.Context, a operate.Monitor) (pageView, error) {
	st, err := a.Status(ctx)
	if err != nil {
		return pageView{}, err
	}
	series, err := a.History(ctx)
	if err != nil {
		return pageView{}, err
	}
	v := pageView{Status: st, State: stateOf(st), Cards: keyCards(st)}
	v.Left = max(0, len(series)-maxCharts)
	v.Charts = charts(series[:len(series)-v.Left], st.Keys)
	return v, nil
}

func page(w http.ResponseWriter, r *http.Request, a operate.Monitor) {
	v, err := viewPage(r.Context(), a)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	_ = statusPage.ExecuteTemplate(w, "page", v)
}

// script answers with the page's script.
func script(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(liveJS)
}

// stateOf finds the state; the order of the cases counts.
func stateOf(st operate.Status) pageState {
	switch {
	case st.Ready:
		return pageState{"good", "✓", "Ready", "Ready: it signs."}
	case st.Role.Role == hwm.Fenced:
		return pageState{"bad", "✗", "FENCED", "Fenced: it ended its own signing."}
	case resting(st):
		return pageState{"calm", "–", "Standby", "Standby, and ready: only the right to sign is elsewhere."}
	case st.Role.Role == hwm.Active && st.Running && !st.Signing && st.Store == operate.StoreOK:
		return pageState{"bad", "…", "WAITING", "Waiting: it does not sign yet."}
	case st.Signing && len(st.Ahead) > 0 && len(st.NotReady) == len(st.Ahead):
		return ahead(st.Ahead)
	}
	return pageState{"bad", "✗", "NOT READY", "Not ready. It signs nothing now, or not with every key:"}
}

// resting tells whether the right to sign is all that is missing, and lies elsewhere.
func resting(st operate.Status) bool {
	if len(st.NotReady) != 1 || !strings.HasPrefix(st.NotReady[0], "role: ") {
		return false
	}
	if r := st.Register; r != nil {
		return !r.Mine && r.Owner != (hwm.InstanceID{}) && r.SilentMS == 0
	}
	return st.Role.Role == hwm.Standby
}

// ahead is the state of an instance with keys that sign only from a later level on.
func ahead(keys []operate.Ahead) pageState {
	from, never := int32(0), false
	for _, k := range keys {
		from, never = max(from, k.From), never || k.From == 0
	}
	if never {
		return pageState{"bad", "✗", "NOT READY", "Not ready: a key signs nothing more, by its ceiling."}
	}
	word := fmt.Sprintf("until level %d", from)
	return pageState{"bad", "✗", "NOT READY " + word, "Not ready " + word + "."}
}

// Title names the machine, the network and the state.
func (v pageView) Title() string {
	words := []string{v.State.Sign + " " + v.State.Word}
	if n := len(v.Alarms); n == 1 {
		words[0] += ", 1 alarm"
	} else if n > 1 {
		words[0] += fmt.Sprintf(", %d alarms", n)
	}
	for _, word := range []string{v.Name, v.Network, "Highwater"} {
		if word != "" {
			words = append(words, word)
		}
	}
	return strings.Join(words, " · ")
}

// Icon is a sign on the colour of the state; the sign tells the state without the colour.
func (v pageView) Icon() template.URL {
	colour, sign := map[string]string{"good": "#1a7f37", "calm": "#57606a", "bad": "#b42318"}[v.State.Class], v.State.Sign
	if len(v.Alarms) > 0 {
		colour, sign = "#b42318", "!"
	}
	svg := `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="` +
		colour +
		`"/><text x="16" y="24" font-size="24" font-family="sans-serif" font-weight="bold" text-anchor="middle" fill="#fff">` +
		sign + `</text></svg>`
	return template.URL("data:image/svg+xml," + url.PathEscape(svg)) //nolint:gosec // of constants
}

// Short is an address for a heading: its ends.
func (v pageView) Short(pkh tezos.PublicKeyHash) string {
	text := pkh.String()
	return text[:7] + "…" + text[len(text)-4:]
}

// Build names this page for the script.
func (v pageView) Build() string { return pageBuild }

// Style is the page's style, as its hash in the policy names the style.
func (v pageView) Style() template.CSS { return template.CSS(pageCSS) } //nolint:gosec // embedded

// When is a time for people.
func (v pageView) When(at any) string {
	switch t := at.(type) {
	case time.Time:
		return t.UTC().Format("2006-01-02 15:04:05Z")
	case *time.Time:
		return t.UTC().Format("2006-01-02 15:04:05Z")
	}
	return ""
}

// Age is how long ago a time was. The script writes the text where the page is live.
func (v pageView) Age(at any) template.HTML {
	var t time.Time
	switch a := at.(type) {
	case time.Time:
		t = a
	case *time.Time:
		t = *a
	}
	text := ""
	if !v.Live {
		text = max(0, time.Since(t)).Truncate(time.Second).String() + " ago"
	}
	return template.HTML(`<time class="age" datetime="` + t.UTC().Format(time.RFC3339Nano) + //nolint:gosec // of a time
		`">` + text + `</time>`)
}

// MaySign tells which machine may sign, in a sentence.
func (v pageView) MaySign() string {
	text := "this instance"
	switch {
	case v.Register != nil:
		text = v.Register.MaySign
		if !strings.Contains(text, "register") {
			text += ", by the register"
		}
	case v.Pair != nil:
		text = v.Pair.MaySign
	case v.Role.Role != hwm.Active:
		text = "not this instance; no other is known here"
	}
	if rest, ok := strings.CutPrefix(text, "this instance"); ok {
		text = cmp.Or(v.Name, "this instance") + rest
	}
	return text
}
