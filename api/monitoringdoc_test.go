package api_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/api"
	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/early"
	"highwater/internal/tezos"
	"highwater/signer"
)

// firstCells gives the quoted words in the first column of the tables below a heading of docs/monitoring.md, sorted.
func firstCells(t *testing.T, heading string) []string {
	t.Helper()
	text, err := os.ReadFile("../docs/monitoring.md")
	require.NoError(t, err)
	_, section, ok := strings.Cut(string(text), "\n## "+heading+"\n")
	require.True(t, ok, "docs/monitoring.md has no section %q", heading)
	section, _, _ = strings.Cut(section, "\n## ")
	var out []string
	for _, line := range strings.Split(section, "\n") {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1) {
				out = append(out, m[1])
			}
		}
	}
	slices.Sort(out)
	return out
}

// sorted gives each text once.
func sorted(texts []string) []string {
	slices.Sort(texts)
	return slices.Compact(texts)
}

// TestMonitoringPageIsComplete: the page has each metric, alert, alarm, warning and reason that the program has, and no others.
func TestMonitoringPageIsComplete(t *testing.T) {
	var metrics []string
	for name := range everyMetric(t) {
		if base, ok := strings.CutPrefix(name, "highwater_"); ok {
			for _, suffix := range []string{"_seconds_bucket", "_seconds_sum", "_seconds_count"} {
				if short, found := strings.CutSuffix(base, suffix); found {
					base = short + "_seconds"
				}
			}
			metrics = append(metrics, "highwater_"+base)
		}
	}
	require.Equal(t, sorted(metrics), firstCells(t, "Metrics"))

	rules, err := os.ReadFile("../deploy/prometheus/highwater.rules.yml")
	require.NoError(t, err)
	var alerts []string
	for _, m := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(string(rules), -1) {
		alerts = append(alerts, m[1])
	}
	require.Equal(t, sorted(alerts), firstCells(t, "Alerts"))

	var alarms []string
	for _, name := range signer.AlarmNames {
		alarms = append(alarms, string(name))
	}
	require.Equal(t, sorted(alarms), firstCells(t, "Alarms"))

	var warnings []string
	for _, name := range early.Names {
		warnings = append(warnings, string(name))
	}
	require.Equal(t, sorted(warnings), firstCells(t, "Early warnings"))

	reasons := []string{
		signer.UnknownKey, signer.NotActive, signer.WrongChain, signer.WrongKind, signer.SlowDisk, signer.AboveHorizon,
		"bad_payload", "wrong_signature", "device_refused", "timeout", "store", // the words of signer.ReasonOf alone
	}
	for _, r := range []hwm.Reason{hwm.NoMark, hwm.NotAbove, hwm.Conflict, hwm.AboveCeiling, hwm.TooFar} {
		reasons = append(reasons, string(r))
	}
	for _, h := range []device.Health{device.Absent, device.Locked, device.WrongApp, device.NoApp, device.Busy, device.Broken} {
		reasons = append(reasons, "device_"+string(h))
	}
	require.Equal(t, sorted(reasons), firstCells(t, "Reasons"))
}

var failureRow = regexp.MustCompile("(?m)^\\| (`[^|]+) \\| failure \\|")

// TestFailuresCountFromTheStart: each reason of a failure, as the page has them, is a counter at zero before the first
// failure. A burst between two scrapes raises the alert.
func TestFailuresCountFromTheStart(t *testing.T) {
	text, err := os.ReadFile("../docs/monitoring.md")
	require.NoError(t, err)
	var want []string
	for _, row := range failureRow.FindAllStringSubmatch(string(text), -1) {
		for _, cell := range strings.Split(row[1], ", ") {
			want = append(want, strings.Trim(cell, "`"))
		}
	}
	families, err := api.NewMetrics().Registry.Gather()
	require.NoError(t, err)
	var got []string
	for _, f := range families {
		if f.GetName() != "highwater_failures_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			require.Zero(t, m.GetCounter().GetValue())
			for _, l := range m.GetLabel() {
				if l.GetName() == "reason" {
					got = append(got, l.GetValue())
				}
			}
		}
		require.Len(t, f.GetMetric(), len(want)*len(tezos.Kinds))
	}
	require.Equal(t, sorted(want), sorted(got))
}
