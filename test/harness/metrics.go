package harness

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Metrics are the numbers of a /metrics page, each summed over its labels.
type Metrics map[string]float64

// Metrics reads the metrics of the daemon.
func (d *Daemon) Metrics(ctx context.Context) (Metrics, error) {
	page, err := d.Get(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	return parseMetrics(string(page))
}

func parseMetrics(page string) (Metrics, error) {
	out := Metrics{}
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		cut := strings.LastIndexByte(line, ' ')
		if cut < 0 {
			return nil, fmt.Errorf("not a metric: %q", line)
		}
		v, err := strconv.ParseFloat(line[cut+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("not a metric: %q: %w", line, err)
		}
		name, _, _ := strings.Cut(line[:cut], "{")
		out[name] += v
	}
	return out, nil
}

// Since gives the growth of each metric.
func (m Metrics) Since(before Metrics) Metrics {
	out := Metrics{}
	for k, v := range m {
		out[k] = v - before[k]
	}
	return out
}
