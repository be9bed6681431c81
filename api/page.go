package api

import (
	_ "embed"
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

var statusPage = template.Must(template.New("status").Parse(statusHTML))

// maxCharts bounds the squares on the page; /history has all.
const maxCharts = 36

// pageView is the status with its history, as the page shows both.
type pageView struct {
	operate.Status
	State   pageState
	Charts  []chart
	Left    int // charts left out
	HeadAge time.Duration
}

// pageState is the state of the instance in one look.
type pageState struct {
	Class string // good, calm, bad
	Sign  string
	Word  string // of the title
	Text  string // of the page
}

func page(w http.ResponseWriter, r *http.Request, a operate.Monitor) {
	st, err := a.Status(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	series, err := a.History(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	v := pageView{Status: st, State: stateOf(st)}
	v.Left = max(0, len(series)-maxCharts)
	v.Charts = charts(series[:len(series)-v.Left], st.Keys)
	if st.Head != nil {
		v.HeadAge = max(0, time.Since(st.Head.At).Truncate(time.Second))
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:")
	_ = statusPage.Execute(w, v)
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
