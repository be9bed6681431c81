package wire

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"
)

// How often the stream looks at the marks, and how often the stream speaks without a change.
const (
	followEvery = 200 * time.Millisecond
	followBeat  = time.Second
)

// serveFollow sends all marks, and afterwards each change, an answer a line, until the peer goes or this process ends.
func (s *Server) serveFollow(w http.ResponseWriter, r *http.Request, q Question) {
	first := s.cfg.Host.Handle(r.Context(), Follow, q)
	out := http.NewResponseController(w)
	if err := errors.Join(out.SetWriteDeadline(time.Time{}), out.SetReadDeadline(time.Time{})); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/jsonlines")
	if send(w, out, first) != nil || first.Refusal != nil {
		return
	}
	s.stream(r.Context(), first.Status.Marks, func(a Answer) error { return send(w, out, a) })
}

// stream calls each with the marks that changed since last.
func (s *Server) stream(ctx context.Context, last []Mark, each func(Answer) error) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	quiet := time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.cfg.Ended:
			return
		case <-tick.C:
		}
		marks, err := s.cfg.Host.Marks()
		if err != nil {
			_ = each(Answer{Hello: s.cfg.Host.Hello(), Refusal: AsRefusal(err)}) // the stream ends here in any case
			return
		}
		changed := changedMarks(last, marks)
		if quiet += followEvery; len(changed) == 0 && quiet < followBeat {
			continue
		}
		if each(Answer{Hello: s.cfg.Host.Hello(), Status: &Report{Marks: changed, Keys: []KeyReport{}}}) != nil {
			return
		}
		last, quiet = marks, 0
	}
}

func send(w io.Writer, out *http.ResponseController, a Answer) error {
	body, err := json.Marshal(a)
	if err != nil {
		return err
	}
	if err = out.SetWriteDeadline(time.Now().Add(followIdle)); err != nil {
		return err
	}
	_, err = w.Write(append(body, '\n'))
	return errors.Join(err, out.Flush())
}

// changedMarks are the marks of next that last lacks; nil: none.
func changedMarks(last, next []Mark) []Mark {
	have := make(map[Mark]bool, len(last))
	for _, m := range last {
		have[m] = true
	}
	var out []Mark
	for _, m := range next {
		if !have[m] {
			out = append(out, m)
		}
	}
	return out
}
