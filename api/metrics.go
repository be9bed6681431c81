package api

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"highwater/hwm"
	"highwater/internal/door"
	"highwater/internal/tezos"
	"highwater/signer"
)

// Metrics counts the outcomes of requests. Marks, role and health are read at each scrape.
type Metrics struct {
	Registry *prometheus.Registry

	signatures *prometheus.CounterVec
	refusals   *prometheus.CounterVec
	failures   *prometheus.CounterVec
	warnings   *prometheus.CounterVec
	deviceTime *prometheus.HistogramVec
	requests   *prometheus.HistogramVec
	commits    prometheus.Histogram
	diskWaits  prometheus.Counter
	turnedAway *prometheus.CounterVec

	droppedLines atomic.Pointer[func() uint64]

	mu    sync.Mutex
	given map[givenKey]prometheus.Counter // signatures, found again without the texts of their labels
}

type givenKey struct {
	kind     tezos.Kind
	pkh      tezos.PublicKeyHash
	replayed bool
}

// Buckets in seconds: an emulator answers in microseconds, a Nano S in 0.9 s; a commit takes 50 µs to some 100 ms.
var buckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}

// NewMetrics makes the metrics, in a registry of their own.
func NewMetrics() *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "highwater", Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(
			prometheus.HistogramOpts{Namespace: "highwater", Name: name, Help: help, Buckets: buckets}, labels)
	}
	m := &Metrics{
		Registry: prometheus.NewRegistry(),
		given:    map[givenKey]prometheus.Counter{},
		signatures: counter("signatures_total", "Signatures given, by kind and key; replayed: given again.", "kind", "pkh",
			"replayed"),
		refusals: counter("refusals_total", "Requests refused, by reason. Look into each conflict.", "reason", "kind"),
		failures: counter("failures_total", "Requests failed for another reason than a decision.", "reason", "kind"),
		turnedAway: counter("turned_away_total",
			"Clients and requests turned away before a key was asked for, by likely cause.", "cause"),
		warnings:   counter("warnings_total", "Requests signed with a warning.", "warning"),
		deviceTime: histogram("device_seconds", "Time of a device for a signature.", "device"),
		requests:   histogram("request_seconds", "Time of a whole request, by decision.", "decision"),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "highwater", Name: "commit_seconds", Help: "Time of a commit to the watermark file.", Buckets: buckets,
		}),
		diskWaits: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "highwater", Name: "disk_waits_total",
			Help: "Requests that waited for the disk for a millisecond or more, after the device was done.",
		}),
	}
	// Zero from the start: for Prometheus, a counter appearing with its first count has not increased, and no alert
	// would be raised.
	for _, reason := range []hwm.Reason{hwm.NoMark, hwm.NotAbove, hwm.Conflict, hwm.AboveCeiling} {
		for _, kind := range tezos.Kinds {
			m.refusals.WithLabelValues(string(reason), kind.String())
		}
	}
	for _, reason := range signer.FailureReasons {
		for _, kind := range tezos.Kinds {
			m.failures.WithLabelValues(reason, kind.String())
		}
	}
	m.warnings.WithLabelValues(tezos.WarnBlockLayout)
	for _, cause := range door.Causes {
		m.turnedAway.WithLabelValues(string(cause))
	}
	dropped := prometheus.NewCounterFunc(prometheus.CounterOpts{
		Namespace: "highwater", Name: "log_lines_dropped_total", Help: "Lines of the log not read in time.",
	}, m.dropped)
	m.Registry.MustRegister(m.signatures, m.refusals, m.failures, m.warnings, m.deviceTime, m.requests, m.commits,
		m.diskWaits, m.turnedAway, dropped,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// CountDroppedLines sets the source of the count of unread log lines.
func (m *Metrics) CountDroppedLines(dropped func() uint64) { m.droppedLines.Store(&dropped) }

func (m *Metrics) dropped() float64 {
	if f := m.droppedLines.Load(); f != nil {
		return float64((*f)())
	}
	return 0
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
		m.counter(givenKey{o.Kind, o.PKH, o.Decision == "replayed"}, kind).Inc()
	}
	if o.Warning != "" {
		m.warnings.WithLabelValues(o.Warning).Inc()
	}
	if o.DeviceFor > 0 {
		m.deviceTime.WithLabelValues(o.Device).Observe(o.DeviceFor.Seconds())
	}
	if o.WaitedForDisk() {
		m.diskWaits.Inc()
	}
	m.requests.WithLabelValues(o.Decision).Observe(o.Duration.Seconds())
}

// counter gives the counter of signatures of a key; a baker has few keys.
func (m *Metrics) counter(key givenKey, kind string) prometheus.Counter {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.given[key]
	if !ok {
		replayed := "no"
		if key.replayed {
			replayed = "yes"
		}
		c = m.signatures.WithLabelValues(kind, key.pkh.String(), replayed)
		m.given[key] = c
	}
	return c
}

// TurnedAway counts a client or a request that was turned away.
func (m *Metrics) TurnedAway(cause door.Cause) { m.turnedAway.WithLabelValues(string(cause)).Inc() }

// ObserveCommit counts a commit.
func (m *Metrics) ObserveCommit(d time.Duration) { m.commits.Observe(d.Seconds()) }
