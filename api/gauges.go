package api

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"highwater/failover"
	"highwater/hwm"
	"highwater/internal/audit"
	"highwater/internal/certs"
	"highwater/internal/device"
	"highwater/internal/early"
	"highwater/operate"
	"highwater/register"
	"highwater/signer"
)

// state collects the content of a status at each scrape: marks, role, health, pair and guard.
type state struct{ of operate.Monitor }

// Collect adds the gauges of a status to the registry.
func (m *Metrics) Collect(a operate.Monitor) { m.Registry.MustRegister(state{a}) }

func gaugeDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("highwater_"+name, help, labels, nil)
}

var (
	descMark = gaugeDesc("mark_level", "Level of the watermark.", "chain", "pkh", "alias", "kind")
	descRole = gaugeDesc("role", "1 for the role of this instance.", "role")
	descEpo  = gaugeDesc("epoch", "Epoch of the role.")
	descSign = gaugeDesc("signing", "1 while requests are let in; "+
		"after a restart, an active instance first asks its peer.")
	descDev  = gaugeDesc("device_health", "1 for the health of a device.", "device", "health")
	descAlrm = gaugeDesc("device_alarm", "1 when a device's own watermark went backwards, or is corrupted.", "device")
	descRdy  = gaugeDesc("ready", "1 when a request could be signed now.")
	descAlm  = gaugeDesc("alarms", "Standing alarms without an acknowledgement.", "alarm")
	descWarn = gaugeDesc("early_warnings", "Early warnings that stand; each ends by itself.", "warning")
	descBld  = gaugeDesc("build_info", "1, with the version.", "version")

	// Of the audit log; none without one.
	descARec  = gaugeDesc("audit_record", "Number of the last record of the audit log.")
	descALost = gaugeDesc("audit_lost_total", "Decisions that are missing in the audit log.")
	descABad  = gaugeDesc("audit_fault", "1 while the audit log cannot be written; signing goes on.")

	// Gauges of certificates, one for each; none without TLS.
	descCert = gaugeDesc("certificate_end_seconds", "Time until the certificate in use ends; negative: it has ended.",
		"setting", "subject")
	descCBad = gaugeDesc("certificate_fault",
		"1 while the files of the certificate are not good, and the former one stays in use.", "setting", "subject")

	// Gauges of the pair; all but the first appear once the other instance was heard.
	descReach  = gaugeDesc("peer_reachable", "1 while the peer answers; missing for a single instance.")
	descPEpo   = gaugeDesc("peer_epoch", "Newest epoch that the peer knows.")
	descPSign  = gaugeDesc("peer_signing", "1 while the peer lets requests in.")
	descPAge   = gaugeDesc("peer_heard_seconds", "Time since the peer was heard.")
	descSkew   = gaugeDesc("peer_clock_skew_seconds", "How far the peer's clock is ahead of the own clock.")
	descFollow = gaugeDesc("follow_connected", "1 while the peer's watermarks are followed. "+
		"The signing instance follows nobody.")
	descBehind = gaugeDesc("follow_behind_levels", "How many levels the watermarks here are behind "+
		"the peer's, at most.")
	descFAge = gaugeDesc("follow_heard_seconds", "Time since the last message of the stream of watermarks.")

	// Gauges of the register; none where the right to sign is not shared.
	descROwn = gaugeDesc("register_owner", "1 while this instance has the right to sign by the register.")
	descREpo = gaugeDesc("register_epoch", "Epoch of the record: it grows with each move of the right.")
	descRSil = gaugeDesc("register_silent_seconds",
		"For how long the register has not answered; 0: the register answers.")
	descRDeny = gaugeDesc("register_denied",
		"1 while the register gives nobody the right: the record is gone, unreadable, or older than the memory here.")
	descRLeft = gaugeDesc("register_levels_left", "Levels from the head of the node here up to the horizon of the record.")

	// Gauges of the guard.
	descGuard = gaugeDesc("guard_state",
		"1 for the state of the guard. Look into a blind guard; off means: no node is configured.", "state")
	descGHead = gaugeDesc("guard_head_level", "Level of the last block that the guard read.")
	descGAge  = gaugeDesc("guard_head_seconds", "Time since the guard looked at a block.")
)

// Describe implements prometheus.Collector.
func (s state) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descMark, descRole, descEpo, descSign, descDev, descAlrm, descRdy, descAlm, descWarn, descBld,
		descReach, descPEpo, descPSign, descPAge, descSkew, descFollow, descBehind, descFAge, descGuard, descGHead, descGAge,
		descARec, descALost, descABad, descCert, descCBad, descROwn, descREpo, descRSil, descRDeny, descRLeft,
	} {
		ch <- d
	}
}

// gauges takes the values of a collection.
type gauges chan<- prometheus.Metric

func (ch gauges) set(d *prometheus.Desc, v float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

// Collect implements prometheus.Collector.
func (s state) Collect(ch chan<- prometheus.Metric) {
	to := gauges(ch)
	st, err := s.of.Status(context.Background())
	if err != nil { // without a status the instance is not ready; the counters stay
		to.set(descRdy, 0)
		return
	}
	for _, m := range st.Marks {
		if m.Level != nil {
			to.set(descMark, float64(*m.Level), m.Chain.String(), m.PKH.String(), m.Alias, m.Kind.String())
		}
	}
	for _, role := range []hwm.Role{hwm.Standby, hwm.Active, hwm.Fenced} {
		to.set(descRole, truth(st.Role.Role == role), role.String())
	}
	to.set(descEpo, float64(st.Role.Epoch))
	to.set(descSign, truth(st.Signing))
	for _, d := range st.Devices {
		for _, h := range []device.Health{
			device.Ready, device.Absent, device.Locked, device.WrongApp, device.NoApp, device.Busy, device.Broken,
		} {
			to.set(descDev, truth(d.Health == h), d.Name, string(h))
		}
		to.set(descAlrm, truth(d.Alarm != ""), d.Name)
	}
	to.set(descRdy, truth(st.Ready))
	standing(to, descAlm, signer.AlarmNames, st.Alarms, func(a signer.Alarm) signer.AlarmName { return a.Name })
	standing(to, descWarn, early.Names, st.Warnings, func(w early.Warning) early.Name { return w.Name })
	to.set(descBld, 1, st.Version)
	to.guard(st.Guard)
	to.certificates(st.Certificates)
	if st.Audit != nil {
		to.audit(*st.Audit)
	}
	if st.Pair != nil && st.Pair.Peer != nil {
		to.peer(*st.Pair.Peer)
	}
	if st.Register != nil {
		to.register(*st.Register)
	}
}

// standing counts what stands of each name, the names without any too.
func standing[N ~string, T any](ch gauges, desc *prometheus.Desc, names []N, all []T, nameOf func(T) N) {
	count := map[N]int{}
	for _, one := range all {
		count[nameOf(one)]++
	}
	for _, name := range names {
		ch.set(desc, float64(count[name]), string(name))
	}
}

func (ch gauges) certificates(rows []certs.Row) {
	for _, r := range rows {
		ch.set(descCert, time.Until(r.Ends).Seconds(), r.Setting, r.Subject)
		ch.set(descCBad, truth(r.Fault != ""), r.Setting, r.Subject)
	}
}

func (ch gauges) audit(s audit.State) {
	ch.set(descARec, float64(s.Record))
	ch.set(descABad, truth(s.Fault != ""))
	ch <- prometheus.MustNewConstMetric(descALost, prometheus.CounterValue, float64(s.Lost))
}

func (ch gauges) guard(g operate.Guard) {
	for _, name := range operate.GuardStates {
		ch.set(descGuard, truth(g.State == name), name)
	}
	if g.Head != nil {
		ch.set(descGHead, float64(*g.Head))
		ch.set(descGAge, time.Since(*g.At).Seconds())
	}
}

func (ch gauges) peer(p failover.PeerView) {
	ch.set(descReach, truth(p.Reachable))
	ch.set(descFollow, truth(p.Following))
	if p.FollowedAt != nil {
		ch.set(descFAge, time.Since(*p.FollowedAt).Seconds())
	}
	if p.HeardAt == nil {
		return
	}
	ch.set(descPEpo, float64(p.Epoch))
	ch.set(descPSign, truth(p.Signing))
	ch.set(descPAge, time.Since(*p.HeardAt).Seconds())
	ch.set(descSkew, float64(p.SkewMS)/1000)
	if p.Behind != nil {
		ch.set(descBehind, float64(*p.Behind))
	}
}

func (ch gauges) register(v register.View) {
	ch.set(descROwn, truth(v.Mine))
	ch.set(descREpo, float64(v.Epoch))
	ch.set(descRSil, float64(v.SilentMS)/1000)
	ch.set(descRDeny, truth(v.Denied))
	if v.Head != nil && v.Epoch > 0 { // a record was read
		ch.set(descRLeft, float64(v.Horizon-*v.Head))
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
