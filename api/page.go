package api

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"html/template"
	"net/http"
	"net/url"
	"time"

	"highwater/internal/words"
	"highwater/operate"
	"highwater/operate/glance"
)

//go:embed status.html
var statusHTML string

//go:embed page.css
var pageCSS string

//go:embed live.js
var liveJS []byte

var statusPage = template.Must(template.New("status").Parse(statusHTML))

// partNames are the parts of the page that a script replaces: templates, and ids of the document.
var partNames = []string{"alarms", "state", "warnings", "who", "facts", "rights", "levels", "devices", "keys"}

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
	glance.View
	Charts []chart
	Live   bool // the script writes ages
}

// viewPage reads what the page shows.
func viewPage(ctx context.Context, a operate.Monitor) (pageView, error) {
	now, err := glance.Read(ctx, a, maxCharts)
	if err != nil {
		return pageView{}, err
	}
	return pageView{View: now, Charts: charts(now.Series, now.Keys)}, nil
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

// Build names this page for the script.
func (v pageView) Build() string { return pageBuild }

// Style is the page's style, as its hash in the policy names the style.
func (v pageView) Style() template.CSS { return template.CSS(pageCSS) } //nolint:gosec // embedded

// When is a time for people.
func (v pageView) When(at any) string { return words.Time(timeOf(at)) }

// Age is how long ago a time was. The script writes the text where the page is live.
func (v pageView) Age(at any) template.HTML {
	t := timeOf(at)
	return v.moving("age", t, max(0, time.Since(t)).Truncate(time.Second).String()+" ago")
}

// Until is the time until a moment. The script writes the text where the page is live.
func (v pageView) Until(at *time.Time) template.HTML {
	return v.moving("left", *at, operate.In(time.Until(*at)))
}

// moving is a time whose text grows old.
func (v pageView) moving(class string, at time.Time, text string) template.HTML {
	if v.Live {
		text = ""
	}
	return template.HTML(`<time class="` + class + `" datetime="` + //nolint:gosec // of a time
		at.UTC().Format(time.RFC3339Nano) + `">` + text + `</time>`)
}

// timeOf takes a time.Time or a *time.Time: the views have both.
func timeOf(at any) time.Time {
	if p, ok := at.(*time.Time); ok {
		return *p
	}
	t, _ := at.(time.Time)
	return t
}
