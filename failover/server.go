package failover

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"highwater/hwm"
)

// TLSConfig is that of the peer listener: the other instance alone gets in.
func (n *Node) TLSConfig() (*tls.Config, error) { return tlsConfig(n.store.Identity(), n.pinned) }

func (n *Node) pinned() (hwm.InstanceID, bool) {
	peer, ok := n.store.Peer()
	return peer.Key, ok
}

// Handler answers the other instance. It belongs behind TLSConfig, and looks at the key again: the peer may have been changed.
func (n *Node) Handler() http.Handler {
	return handler{n.routes(), n}
}

// handler is one whose server must know when a connection was accepted.
type handler struct {
	http.Handler
	node *Node
}

// ConnContext is http.Server's.
func (h handler) ConnContext(ctx context.Context, c net.Conn) context.Context {
	return h.node.ConnContext(ctx, c)
}

func (n *Node) routes() http.Handler {
	mux := http.NewServeMux()
	for _, verb := range []string{verbStatus, verbRelease, verbFence, verbInvite} {
		mux.HandleFunc("POST /v1/"+verb, func(w http.ResponseWriter, r *http.Request) {
			if q, ok := n.read(w, r); ok {
				write(w, n.handle(r.Context(), verb, q))
			}
		})
	}
	mux.HandleFunc("POST /v1/"+verbFollow, func(w http.ResponseWriter, r *http.Request) {
		if q, ok := n.read(w, r); ok {
			n.serveFollow(w, r, q)
		}
	})
	return mux
}

// read gets the question out of a request; when that fails it has answered.
func (n *Node) read(w http.ResponseWriter, r *http.Request) (Question, bool) {
	want, paired := n.pinned()
	if r.TLS == nil || !paired {
		http.Error(w, "this is for the other instance only", http.StatusForbidden)
		return Question{}, false
	}
	if key, err := keyOf(*r.TLS); err != nil || key != want {
		http.Error(w, "this is for the other instance only", http.StatusForbidden)
		return Question{}, false
	}
	if _, ok := acceptedAt(r.Context()); !ok { // without it two with one key are never found
		http.Error(w, "the server does not note when a connection is accepted", http.StatusInternalServerError)
		return Question{}, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessage))
	if err == nil {
		var q Question
		if q, err = parse[Question](body); err == nil {
			return q, true
		}
	}
	write(w, Answer{Hello: n.hello(), Refusal: asRefusal(err)})
	return Question{}, false
}

func write(w http.ResponseWriter, a Answer) {
	body, err := json.Marshal(a)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // the other side may have gone: it asks again
}

// How often marks are looked at while they are followed, and how often something is said in any case.
const (
	followEvery = 200 * time.Millisecond
	followBeat  = time.Second
)

// serveFollow sends all marks, then what changed, one answer a line, until the other side goes or this one ends.
func (n *Node) serveFollow(w http.ResponseWriter, r *http.Request, q Question) {
	first := n.handle(r.Context(), verbFollow, q)
	out := http.NewResponseController(w)
	if err := errors.Join(out.SetWriteDeadline(time.Time{}), out.SetReadDeadline(time.Time{})); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/jsonlines")
	if send(w, out, first) != nil || first.Refusal != nil {
		return
	}
	n.stream(r.Context(), first.Status.Marks, func(a Answer) error { return send(w, out, a) })
}

// stream calls each with what changed since last.
func (n *Node) stream(ctx context.Context, last []Mark, each func(Answer) error) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	quiet := time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.ended():
			return
		case <-tick.C:
		}
		marks, err := n.durableMarks()
		if err != nil {
			_ = each(Answer{Hello: n.hello(), Refusal: asRefusal(err)}) // it ends here in any case
			return
		}
		changed := changedMarks(last, marks)
		if quiet += followEvery; len(changed) == 0 && quiet < followBeat {
			continue
		}
		if each(Answer{Hello: n.hello(), Status: &Report{Marks: changed, Keys: []KeyReport{}}}) != nil {
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
