package api

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/signer"
)

// Metrics counts what becomes of requests. Marks, role and health are read when they are scraped.
type Metrics struct {
	Registry *prometheus.Registry

	signatures *prometheus.CounterVec
	refusals   *prometheus.CounterVec
	failures   *prometheus.CounterVec
	warnings   *prometheus.CounterVec
	deviceTime *prometheus.HistogramVec
	requests   *prometheus.HistogramVec
	commits    prometheus.Histogram
}

// Buckets in seconds: an emulator answers in microseconds, a Nano S in 0.9 s; a commit takes 50 µs to some 100 ms.
var buckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}

// NewMetrics makes them, in a registry of their own.
func NewMetrics() *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "highwater", Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "highwater", Name: name, Help: help, Buckets: buckets}, labels)
	}
	m := &Metrics{
		Registry:   prometheus.NewRegistry(),
		signatures: counter("signatures_total", "Signatures given, by kind and key; replayed ones are those given again.", "kind", "pkh", "replayed"),
		refusals:   counter("refusals_total", "Requests refused, by reason. A conflict is the alarming one.", "reason", "kind"),
		failures:   counter("failures_total", "Requests that failed for another reason than a decision.", "reason", "kind"),
		warnings:   counter("warnings_total", "Requests signed with a warning.", "warning"),
		deviceTime: histogram("device_seconds", "Time that a device took for a signature.", "device"),
		requests:   histogram("request_seconds", "Time of a whole request, by decision.", "decision"),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "highwater", Name: "commit_seconds", Help: "Time of a commit to the watermark file.", Buckets: buckets,
		}),
	}
	// From the start, at zero: what appears with its first count has not increased for Prometheus, and no alert would be raised.
	for _, reason := range []hwm.Reason{hwm.NoMark, hwm.NotAbove, hwm.Conflict, hwm.AboveCeiling} {
		for _, kind := range tezos.Kinds {
			m.refusals.WithLabelValues(string(reason), kind.String())
		}
	}
	m.warnings.WithLabelValues(tezos.WarnBlockLayout)
	m.Registry.MustRegister(m.signatures, m.refusals, m.failures, m.warnings, m.deviceTime, m.requests, m.commits,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Observe counts a decision.
func (m *Metrics) Observe(o signer.Outcome) {
	kind := ""
	if o.Kind != 0 {
		kind = o.Kind.String()
	}
	switch o.Decision {
	case "refused":
		m.refusals.WithLabelValues(o.Reason, kind).Inc()
	case "failed":
		m.failures.WithLabelValues(o.Reason, kind).Inc()
	default:
		replayed := "no"
		if o.Decision == "replayed" {
			replayed = "yes"
		}
		m.signatures.WithLabelValues(kind, o.PKH.String(), replayed).Inc()
	}
	if o.Warning != "" {
		m.warnings.WithLabelValues(o.Warning).Inc()
	}
	if o.DeviceFor > 0 {
		m.deviceTime.WithLabelValues(o.Device).Observe(o.DeviceFor.Seconds())
	}
	m.requests.WithLabelValues(o.Decision).Observe(o.Duration.Seconds())
}

// ObserveCommit counts a commit.
func (m *Metrics) ObserveCommit(d time.Duration) { m.commits.Observe(d.Seconds()) }

// state collects marks, role and health at each scrape.
type state struct{ admin Admin }

// Collect adds marks, role and health to the registry.
func (m *Metrics) Collect(a Admin) { m.Registry.MustRegister(state{a}) }

var (
	descMark = prometheus.NewDesc("highwater_mark_level", "Level of the watermark.", []string{"chain", "pkh", "alias", "kind"}, nil)
	descRole = prometheus.NewDesc("highwater_role", "1 for the role of this instance.", []string{"role"}, nil)
	descEpo  = prometheus.NewDesc("highwater_epoch", "Epoch of the role.", nil, nil)
	descDev  = prometheus.NewDesc("highwater_device_health", "1 for the health of a device.", []string{"device", "health"}, nil)
	descAlrm = prometheus.NewDesc("highwater_device_alarm", "1 when a device's own watermark went backwards, or is corrupted.", []string{"device"}, nil)
	descRdy  = prometheus.NewDesc("highwater_ready", "1 when a request could be signed now.", nil, nil)
	descAlm  = prometheus.NewDesc("highwater_alarms", "Alarms that stand and were not acknowledged.", []string{"alarm"}, nil)
	descBld  = prometheus.NewDesc("highwater_build_info", "1, with the version.", []string{"version"}, nil)
)

// Describe implements prometheus.Collector.
func (s state) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descMark, descRole, descEpo, descDev, descAlrm, descRdy, descAlm, descBld} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s state) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	st, err := s.admin.Status(context.Background())
	if err != nil { // what cannot tell is not ready; the counters are still worth having
		gauge(descRdy, 0)
		return
	}
	for _, m := range st.Marks {
		if m.Level != nil {
			gauge(descMark, float64(*m.Level), m.Chain.String(), m.PKH.String(), m.Alias, m.Kind.String())
		}
	}
	for _, role := range []hwm.Role{hwm.Standby, hwm.Active, hwm.Fenced} {
		gauge(descRole, truth(st.Role.Role == role), role.String())
	}
	gauge(descEpo, float64(st.Role.Epoch))
	for _, d := range st.Devices {
		for _, h := range []device.Health{device.Ready, device.Absent, device.Locked, device.WrongApp, device.NoApp, device.Busy, device.Broken} {
			gauge(descDev, truth(d.Health == h), d.Name, string(h))
		}
		gauge(descAlrm, truth(d.Alarm != ""), d.Name)
	}
	gauge(descRdy, truth(st.Ready))
	standing := map[signer.AlarmName]int{}
	for _, a := range st.Alarms {
		standing[a.Name]++
	}
	for _, name := range signer.AlarmNames {
		gauge(descAlm, float64(standing[name]), string(name))
	}
	gauge(descBld, 1, st.Version)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
