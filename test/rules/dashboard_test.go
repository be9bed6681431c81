//go:build prometheus

package rules

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// query is a query of the dashboard.
type query struct {
	Panel, Expr, Legend string
}

// every is a range of each chart, long enough for some scrapes.
const every = "6s"

// asked is the expression as Grafana sends it, for all instances. Nothing stands in for missing data.
func (q query) asked() string {
	return strings.NewReplacer("$__rate_interval", every, "$instance", ".*", " or vector(0)", "").Replace(q.Expr)
}

var legendLabel = regexp.MustCompile(`\{\{(\w+)\}\}`)

// legends are the labels that the legend of the query shows.
func (q query) legends() (out []string) {
	for _, m := range legendLabel.FindAllStringSubmatch(q.Legend, -1) {
		out = append(out, m[1])
	}
	return out
}

// dashboard reads all queries of the dashboard, and the query of its list of instances.
func dashboard(t *testing.T) (all []query, instances string) {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	require.NoError(t, err)
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
		Templating struct {
			List []struct {
				Name  string
				Query json.RawMessage
			}
		}
	}
	require.NoError(t, json.Unmarshal(text, &board))
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			all = append(all, query{p.Title, target.Expr, target.LegendFormat})
		}
	}
	for _, v := range board.Templating.List {
		if v.Name == "instance" {
			instances = string(v.Query)
		}
	}
	require.Equal(t, strings.Count(string(text), `"expr"`), len(all))
	return all, instances
}
