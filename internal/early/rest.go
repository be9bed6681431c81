package early

import (
	"fmt"
	"time"

	"highwater/internal/words"
)

// Limits without a setting.
const (
	certificateSoon = 14 * 24 * time.Hour
	certificateNow  = 2 * 24 * time.Hour
	freshHead       = 2 * time.Minute  // an older head says nothing of marks
	nodeSilentAfter = 10 * time.Minute // restarts of a node take less
	behindLevels    = 5
	registerPatient = 10 * time.Second
)

// certificates takes short lives into account: a certificate of a day is renewed each day.
func (w *Watch) certificates(now time.Time) (out []finding) {
	if w.from.Certificates == nil {
		return nil
	}
	for _, c := range w.from.Certificates() {
		left, life := c.Ends.Sub(now), c.Ends.Sub(c.Begins)
		f := finding{
			name: CertificateEnds, of: c.Setting + " " + c.Subject, state: bad,
			text: fmt.Sprintf("%s: %s ends at %s", c.Setting, c.Name(), words.Time(c.Ends)),
			hint: "put the new files in its place; they are read when they change, without a restart",
		}
		trouble, refused := c.Trouble(now)
		switch {
		case refused:
			f.name, f.text = CertificateNow, c.Setting+": "+trouble
		case left < min(certificateNow, life/10):
			f.name = CertificateNow
			f.text += ": connections are refused from then on"
		case left >= min(certificateSoon, life/4):
			continue
		}
		out = append(out, f)
	}
	return out
}

// marksAhead looks at fresh heads only: a node that catches up shows old blocks below good marks.
func (w *Watch) marksAhead(now time.Time) (out []finding) {
	limit := w.limits.MarksAhead
	if w.from.Marks == nil || w.from.Head == nil || limit == 0 {
		return nil
	}
	head := w.from.Head()
	fresh := head.Level > 0 && now.Sub(head.At) < freshHead
	for _, m := range w.from.Marks() {
		above := int64(m.Level) - int64(head.Level)
		if fresh && above <= int64(limit) {
			continue
		}
		f := finding{name: MarksAhead, of: m.Key, state: between}
		if fresh {
			f.state = bad
			f.text = fmt.Sprintf("the marks of %s are %d levels above the head %d: the key signs nothing before level %d",
				m.Key, above, head.Level, int64(m.Level)+1)
			f.hint = "highwater hwm show; is the node in step, and was a level typed wrong? On standby a mark comes down " +
				"again: highwater hwm lower --help"
		}
		out = append(out, f)
	}
	return out
}

func (w *Watch) nodeSilent(now time.Time) []finding {
	if w.from.Head == nil {
		return nil
	}
	head := w.from.Head()
	at, text := head.At, fmt.Sprintf("the newest block of the node is level %d, of %s", head.Level, words.Time(head.At))
	if head.Level == 0 {
		at, text = w.began, "the node did not tell of any block since the start"
	}
	if now.Sub(at) < nodeSilentAfter {
		return nil
	}
	return []finding{{
		name: NodeSilent, state: bad, text: text,
		hint: "is the node up and in step? Without a head the guard sees nothing, and levels far ahead are judged by time",
	}}
}

func (w *Watch) notFollowing(time.Time) []finding {
	if w.from.Follow == nil {
		return nil
	}
	s := w.from.Follow()
	f := finding{name: NotFollowing, state: bad, hint: "highwater peer show tells why; the link, or the disk here"}
	switch {
	case !s.Wanted:
		return nil
	case !s.Connected:
		f.text = "this standby does not follow the marks of the signing instance: a takeover would rest on the chain alone"
	case s.Behind > behindLevels:
		f.text = fmt.Sprintf("the marks of this standby are %d levels behind those of the signing instance", s.Behind)
	default:
		return nil
	}
	return []finding{f}
}

func (w *Watch) registerSilent(time.Time) []finding {
	if w.from.Silent == nil {
		return nil
	}
	silent := w.from.Silent()
	if silent == 0 {
		return nil
	}
	f := finding{
		name: RegisterSilent, state: between,
		text: fmt.Sprintf("the register has not answered for %s: the owner signs up to its horizon only",
			silent.Round(time.Second)),
		hint: "highwater check names the silent member",
	}
	if silent > registerPatient {
		f.state = bad
	}
	return []finding{f}
}

func (w *Watch) auditUnwritten(time.Time) []finding {
	if w.from.Audit == nil {
		return nil
	}
	fault := w.from.Audit()
	if fault == "" {
		return nil
	}
	return []finding{{
		name: AuditUnwritten, state: bad, text: "the audit log is not written, and misses decisions: " + fault,
		hint: "make room on its disk, or move the log: [audit] dir; signing goes on",
	}}
}
