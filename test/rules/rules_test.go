//go:build prometheus

package rules

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/baker"
	"highwater/internal/tezos"
	"highwater/test/harness"
)

var (
	binaryPath     = flag.String("binary", "", "the program")
	prometheusPath = flag.String("prometheus", "prometheus", "the program of Prometheus")
)

// hardwareOnly are the queries with a condition that no emulated device meets, with the reason. Without the condition
// they have data.
var hardwareOnly = map[string]string{
	`highwater_device_alarm{instance=~"$instance"} == 1`: "an emulated device of the configuration does not lose its " +
		"mark during its connection",
}

// certain are the alerts that the test causes: one double signature was asked for, requests fail, the record is gone.
var certain = []string{"HighwaterDoubleSignatureAsked", "HighwaterFailures", "HighwaterRegisterDenied"}

// TestAgainstPrometheus: over the scrapes of a pair and of a register's owner, each query of the dashboard has data,
// and each rule is evaluated.
func TestAgainstPrometheus(t *testing.T) {
	w := newWorld(t)
	p := startPrometheus(t, []string{w.active.address(), w.standby.address(), w.owner.address()})
	w.start(w.active)
	w.start(w.owner)
	w.await("an active instance without its peer", func() []string { return p.without("highwater_peer_reachable == 0") })
	w.start(w.standby)
	stop := w.bake(w.active, w.owner)
	defer stop()
	w.conflict(w.active)
	_, err := harness.Get(t.Context(), http.DefaultClient, "http://"+w.active.octez+"/nowhere")
	require.Error(t, err)
	w.await("what happens with all well", func() []string { return p.missing(t, "fault", "denied") })

	require.NoError(t, os.WriteFile(w.certificate, []byte("no certificate"), 0o600))
	w.loseRecord()
	w.await("everything", func() []string { return p.missing(t) })
	w.await("alerts", func() []string { return p.quiet(certain...) })

	p.checkNames(t)
	for _, r := range p.rules() {
		require.Equal(t, "ok", r.Health, "%s: %s", r.Name, r.LastError)
		require.False(t, r.LastEvaluation.IsZero(), r.Name)
	}
}

// without names the expressions without data.
func (p *prometheus) without(exprs ...string) (out []string) {
	for _, expr := range exprs {
		if all, err := p.over(expr); err != nil || len(all) == 0 {
			out = append(out, fmt.Sprintf("%s: no data (error: %v)", expr, err))
		}
	}
	return out
}

// missing names the queries of the dashboard without data, or without a label of their legend; but not those with one
// of these words.
func (p *prometheus) missing(t *testing.T, later ...string) (out []string) {
	t.Helper()
	all, _ := dashboard(t)
	for _, q := range all {
		if slices.ContainsFunc(later, func(word string) bool { return strings.Contains(q.Expr, word) }) {
			continue
		}
		expr := q.asked()
		if hardwareOnly[q.Expr] != "" {
			expr = strings.TrimSuffix(expr, " == 1")
		}
		rows, err := p.over(expr)
		if err != nil || len(rows) == 0 {
			out = append(out, fmt.Sprintf("%s: %s: no data (error: %v)", q.Panel, expr, err))
		}
		for _, label := range q.legends() {
			if slices.ContainsFunc(rows, func(s series) bool { return s.Metric[label] == "" }) {
				out = append(out, fmt.Sprintf("%s: %s: no label %s", q.Panel, expr, label))
			}
		}
	}
	return out
}

// quiet names the alerts that do not fire.
func (p *prometheus) quiet(alerts ...string) (out []string) {
	for _, r := range p.rules() {
		if slices.Contains(alerts, r.Name) && r.State != "firing" {
			out = append(out, r.Name+" does not fire")
		}
	}
	return out
}

// checkNames compares the metrics of dashboard and rules with the scraped metrics.
func (p *prometheus) checkNames(t *testing.T) {
	t.Helper()
	scraped := p.names("__name__")
	queries, instances := dashboard(t)
	exprs := []string{instances}
	for _, q := range queries {
		exprs = append(exprs, q.Expr)
	}
	rules := p.rules()
	text, err := os.ReadFile(rulesFile)
	require.NoError(t, err)
	require.Len(t, rules, strings.Count(string(text), "- alert: "))
	for _, r := range rules {
		exprs = append(exprs, r.Query)
	}
	for _, expr := range exprs {
		for _, name := range metricsOf(expr) {
			require.Contains(t, scraped, name, expr)
		}
	}
	require.Len(t, p.names("instance", metricsOf(instances)...), 3)
}

// conflict asks a machine for other bytes at a signed place, once.
func (w *world) conflict(m *machine) {
	w.t.Helper()
	keys, err := m.Keys(w.t.Context())
	require.NoError(w.t, err)
	w.await("a signature", func() []string {
		var key *tezos.PublicKey
		level := w.node.Head().Level
		for _, k := range keys {
			if err = m.attest(w.t.Context(), k, level, 0); err == nil {
				key = k
			}
		}
		if key == nil {
			return []string{err.Error()}
		}
		err = m.attest(w.t.Context(), key, level, 1)
		var refusal *baker.Refusal
		require.ErrorAs(w.t, err, &refusal)
		require.Contains(w.t, refusal.Text, "would be a double signature")
		return nil
	})
}

// patience bounds a wait: the machine may be busy.
const patience = 2 * time.Minute

// await looks again and again, until nothing is missing.
func (w *world) await(what string, missing func() []string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	begun := time.Now()
	for {
		left := missing()
		if len(left) == 0 {
			w.t.Logf("%s after %s", what, time.Since(begun).Round(time.Millisecond))
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.t.Fatalf("%s: not yet: %s", what, strings.Join(left, "\n"))
		}
	}
}
