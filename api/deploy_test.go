package api_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/register"
	"highwater/signer"
)

// everyMetric gives the names of all metrics that a running signer has, as Prometheus stores them, with their labels.
func everyMetric(t *testing.T) map[string]map[string]bool {
	t.Helper()
	r := newRig(t)
	r.paired()
	r.activate()
	pkh := r.keys[tezos.Ed25519].Hash()
	for _, decision := range []string{"signed", "refused", "failed"} {
		r.metrics.Observe(signer.Outcome{
			PKH: pkh, Kind: tezos.Block, Decision: decision, Reason: "x", Device: "left", DeviceFor: time.Second,
			Warning: tezos.WarnBlockLayout,
		})
	}
	families, err := r.metrics.Registry.Gather()
	require.NoError(t, err)
	r.share(register.View{Mine: true, Epoch: 3, Head: new(int32)}) // an instance has a peer or a register
	shared, err := r.metrics.Registry.Gather()
	require.NoError(t, err)
	families = append(families, shared...)
	out := map[string]map[string]bool{}
	for _, f := range families {
		labels := map[string]bool{"instance": true, "job": true}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = true
			}
		}
		names := []string{f.GetName()}
		if f.GetMetric()[0].GetHistogram() != nil && strings.HasPrefix(f.GetName(), "highwater_") {
			labels["le"] = true
			names = []string{f.GetName() + "_bucket", f.GetName() + "_sum", f.GetName() + "_count"}
		}
		for _, name := range names {
			out[name] = labels
		}
	}
	return out
}

var (
	metricUse = regexp.MustCompile(`\b((?:highwater|process|go)_\w+)(?:\{([^}]*)\})?`)
	labelUse  = regexp.MustCompile(`(\w+)\s*(?:=~|!=|!~|=)`)
	groupUse  = regexp.MustCompile(`\b(?:by|on) \(([^)]*)\)`)
)

// checkExpr: every metric is one, and so is every label of it.
func checkExpr(t *testing.T, metrics map[string]map[string]bool, expr string) (used []string) {
	t.Helper()
	found := metricUse.FindAllStringSubmatch(expr, -1)
	grouped := map[string]bool{}
	for _, use := range found {
		labels, ok := metrics[use[1]]
		require.True(t, ok, "%s is no metric, in %s", use[1], expr)
		for _, l := range labelUse.FindAllStringSubmatch(use[2], -1) {
			require.True(t, labels[l[1]], "%s has no label %s, in %s", use[1], l[1], expr)
		}
		for l := range labels {
			grouped[l] = true
		}
		used = append(used, use[1])
	}
	for _, by := range groupUse.FindAllStringSubmatch(expr, -1) {
		for _, l := range strings.Split(by[1], ",") {
			require.True(t, grouped[strings.TrimSpace(l)], "nothing has the label %s, in %s", l, expr)
		}
	}
	require.Equal(t, strings.Count(expr, "("), strings.Count(expr, ")"), expr)
	return used
}

func TestAlertRulesNameRealMetrics(t *testing.T) {
	metrics := everyMetric(t)
	text, err := os.ReadFile("../deploy/prometheus/highwater.rules.yml")
	require.NoError(t, err)
	require.NotContains(t, string(text), "\t", "YAML has no tabs")
	used := map[string]bool{}
	exprs := regexp.MustCompile(`(?m)^        expr: (.+)$`).FindAllStringSubmatch(string(text), -1)
	for _, e := range exprs {
		for _, name := range checkExpr(t, metrics, e[1]) {
			used[name] = true
		}
	}
	require.Len(t, exprs, strings.Count(string(text), "- alert: "))
	require.Len(t, exprs, strings.Count(string(text), "        labels: {severity: "))
	require.Len(t, exprs, strings.Count(string(text), "          summary: "))
	for _, name := range []string{
		"highwater_refusals_total", "highwater_ready", "highwater_device_health", "highwater_device_alarm",
		"highwater_signatures_total", "highwater_commit_seconds_bucket",
		"highwater_failures_total", "highwater_role", "highwater_alarms", "highwater_guard_state", "highwater_peer_reachable",
		"highwater_peer_signing", "highwater_follow_connected", "highwater_follow_behind_levels",
		"highwater_peer_clock_skew_seconds", "highwater_log_lines_dropped_total",
	} {
		require.True(t, used[name], "no alert looks at %s", name)
	}
	require.Contains(t, string(text), `reason="`+string(hwm.Conflict)+`"`)
}

func TestDashboardNamesRealMetrics(t *testing.T) {
	metrics := everyMetric(t)
	text, err := os.ReadFile("../deploy/grafana/highwater.json")
	require.NoError(t, err)
	var dashboard struct {
		UID    string
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct {
				Expr  string
				RefID string `json:"refId"`
			}
		}
	}
	require.NoError(t, json.Unmarshal(text, &dashboard))
	require.Equal(t, "highwater", dashboard.UID)
	ids, used := map[int]bool{}, map[string]bool{}
	for _, p := range dashboard.Panels {
		require.False(t, ids[p.ID], p.Title)
		ids[p.ID] = true
		require.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			names := checkExpr(t, metrics, target.Expr)
			require.NotEmpty(t, names)
			for _, name := range names {
				used[name] = true
			}
		}
	}
	// Whatever the signer says of itself has a place on it.
	for name := range metrics {
		base := strings.TrimSuffix(strings.TrimSuffix(name, "_sum"), "_count")
		if strings.HasPrefix(name, "highwater_") && name != "highwater_warnings_total" {
			require.True(t, used[name] || used[base+"_bucket"], "%s is not on the dashboard", name)
		}
	}
}

// TestAConflictIsSeenTheFirstTime: its counter is there, at zero, before anything happened.
func TestAConflictIsSeenTheFirstTime(t *testing.T) {
	r := newRig(t)
	families, err := r.metrics.Registry.Gather()
	require.NoError(t, err)
	zero := 0
	for _, f := range families {
		if f.GetName() != "highwater_refusals_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			require.Zero(t, m.GetCounter().GetValue())
			for _, l := range m.GetLabel() {
				if l.GetValue() == string(hwm.Conflict) {
					zero++
				}
			}
		}
	}
	require.Equal(t, len(tezos.Kinds), zero)
}
