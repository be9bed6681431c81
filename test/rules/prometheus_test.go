//go:build prometheus

package rules

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/test/harness"
)

const (
	rulesFile     = "../../deploy/prometheus/highwater.rules.yml"
	dashboardFile = "../../deploy/grafana/highwater.json"
)

// prometheus is a running Prometheus with storage of its own.
type prometheus struct {
	t     *testing.T
	url   string
	begun time.Time
}

// configuration is the head of the rules' file, as an operator takes the head over, with these targets.
func configuration(t *testing.T, targets []string) string {
	t.Helper()
	text, err := os.ReadFile(rulesFile)
	require.NoError(t, err)
	_, head, found := strings.Cut(string(text), "# Alerts for Highwater. In prometheus.yml:\n")
	require.True(t, found)
	head, _, _ = strings.Cut(head, "#\n")
	head = strings.ReplaceAll(head, "#   ", "")
	rules, err := filepath.Abs(rulesFile)
	require.NoError(t, err)
	for placeholder, value := range map[string]string{
		"/etc/prometheus/highwater.rules.yml": rules,
		`"127.0.0.1:6733"`:                    `"` + strings.Join(targets, `", "`) + `"`,
	} {
		require.Equal(t, 1, strings.Count(head, placeholder), head)
		head = strings.ReplaceAll(head, placeholder, value)
	}
	return "global: {scrape_interval: 1s, evaluation_interval: 1s}\n" + head
}

// startPrometheus starts a Prometheus for these targets, on a free port of loopback.
func startPrometheus(t *testing.T, targets []string) *prometheus {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	require.NoError(t, os.WriteFile(config, []byte(configuration(t, targets)), 0o600))
	at := harness.Address(t)
	p := &prometheus{t: t, url: "http://" + at, begun: time.Now()}
	process, err := harness.Spawn(filepath.Join(dir, "log"), *prometheusPath, "--config.file", config,
		"--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", at, "--log.level", "warn")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, process.EndAnyhow()) })
	require.NoError(t, process.Await(t.Context(), func(ctx context.Context) bool {
		_, err := harness.Get(ctx, http.DefaultClient, p.url+"/-/ready")
		return err == nil
	}))
	return p
}

// get asks the API, and reads the data of the answer.
func (p *prometheus) get(path string, query url.Values, data any) error {
	body, err := harness.Get(p.t.Context(), http.DefaultClient, p.url+"/api/v1/"+path+"?"+query.Encode())
	if err != nil {
		return err
	}
	var answer struct {
		Status   string
		Data     json.RawMessage
		Warnings []string
	}
	if err = json.Unmarshal(body, &answer); err != nil {
		return err
	}
	if answer.Status != "success" || len(answer.Warnings) > 0 {
		return fmt.Errorf("%s: %s", path, body)
	}
	return json.Unmarshal(answer.Data, data)
}

// series is a line of a chart: its labels, and pairs of a time and a number as a text.
type series struct {
	Metric map[string]string
	Values [][2]any
}

// empty tells whether the line has no number.
func (s series) empty() bool {
	return !slices.ContainsFunc(s.Values, func(v [2]any) bool { return v[1] != "NaN" })
}

// over asks a query for each second since the start, and gives the lines with a number.
func (p *prometheus) over(expr string) ([]series, error) {
	var data struct{ Result []series }
	err := p.get("query_range", url.Values{
		"query": {expr}, "step": {"1"}, "start": {stamp(p.begun)}, "end": {stamp(time.Now())},
	}, &data)
	return slices.DeleteFunc(data.Result, series.empty), err
}

func stamp(at time.Time) string { return fmt.Sprintf("%.3f", float64(at.UnixMilli())/1000) }

// names are all values of a label, "__name__" for the names of metrics.
func (p *prometheus) names(label string, match ...string) (out []string) {
	p.t.Helper()
	require.NoError(p.t, p.get("label/"+label+"/values", url.Values{"match[]": match}, &out))
	return out
}

// rule is a rule as Prometheus tells of it.
type rule struct {
	Name, Query, Health, LastError, State string
	LastEvaluation                        time.Time
}

func (p *prometheus) rules() (out []rule) {
	p.t.Helper()
	var data struct {
		Groups []struct{ Rules []rule }
	}
	require.NoError(p.t, p.get("rules", nil, &data))
	for _, g := range data.Groups {
		out = append(out, g.Rules...)
	}
	return out
}

var metricName = regexp.MustCompile(`\b(?:highwater|process|go)_\w+`)

// metricsOf are the metrics of an expression.
func metricsOf(expr string) []string { return metricName.FindAllString(expr, -1) }
