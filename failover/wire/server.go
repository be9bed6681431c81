package wire

import (
	"context"
	"crypto"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"

	"highwater/hwm"
)

// Host is the instance behind a server.
type Host interface {
	// Hello introduces the instance as it is now.
	Hello() Hello
	// Handle answers a question from the pinned key of the peer.
	Handle(ctx context.Context, verb string, q Question) Answer
	// Marks are all watermarks of the chain, each durable.
	Marks() ([]Mark, error)
}

// ServerConfig holds the parts of a Server.
type ServerConfig struct {
	Host     Host
	Identity crypto.Signer // an ed25519 key
	// Pinned is the key of the peer; false: no peer is configured.
	Pinned func() (hwm.InstanceID, bool)
	Count  *Counter
	Ended  <-chan struct{} // closed at the end of this process; the end closes all streams
}

// Server answers the peer. An http.Server with a Server needs the TLSConfig and the ConnContext of the Server. Each
// request looks at the key again: the pinned key may have changed since the handshake.
type Server struct {
	cfg ServerConfig
	mux *http.ServeMux
}

// NewServer makes a server.
func NewServer(cfg ServerConfig) *Server {
	s := &Server{cfg: cfg, mux: http.NewServeMux()}
	for _, verb := range []string{Status, Release, Invite} {
		s.mux.HandleFunc("POST /v1/"+verb, func(w http.ResponseWriter, r *http.Request) {
			if q, ok := s.read(w, r); ok {
				write(w, s.cfg.Host.Handle(r.Context(), verb, q))
			}
		})
	}
	s.mux.HandleFunc("POST /v1/"+Follow, func(w http.ResponseWriter, r *http.Request) {
		if q, ok := s.read(w, r); ok {
			s.serveFollow(w, r, q)
		}
	})
	return s
}

// ServeHTTP answers a question, or starts a stream.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// TLSConfig is the configuration of the peer listener: only the peer gets in.
func (s *Server) TLSConfig() (*tls.Config, error) { return tlsConfig(s.cfg.Identity, s.cfg.Pinned) }

type instantKey struct{}

// ConnContext notes when a connection was accepted: before the handshake, which needs the peer alive. http.Server calls
// ConnContext.
func (s *Server) ConnContext(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, instantKey{}, s.cfg.Count.Instant())
}

// AcceptedAt is when the connection of a question was accepted; false: the context comes from no ConnContext.
func AcceptedAt(ctx context.Context) (Instant, bool) {
	at, ok := ctx.Value(instantKey{}).(Instant)
	return at, ok
}

// read gets the question out of a request. Where read fails, the request is answered.
func (s *Server) read(w http.ResponseWriter, r *http.Request) (Question, bool) {
	want, paired := s.cfg.Pinned()
	if r.TLS == nil || !paired {
		http.Error(w, "the listener is for the peer only", http.StatusForbidden)
		return Question{}, false
	}
	if key, err := keyOf(*r.TLS); err != nil || key != want {
		http.Error(w, "the listener is for the peer only", http.StatusForbidden)
		return Question{}, false
	}
	if _, ok := AcceptedAt(r.Context()); !ok { // without the instant two processes with one key are never found
		http.Error(w, "the server does not note when a connection is accepted", http.StatusInternalServerError)
		return Question{}, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessage))
	if err == nil {
		var q Question
		if q, err = Parse[Question](body); err == nil {
			return q, true
		}
	}
	write(w, Answer{Hello: s.cfg.Host.Hello(), Refusal: AsRefusal(err)})
	return Question{}, false
}

func write(w http.ResponseWriter, a Answer) {
	body, err := json.Marshal(a)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // a peer without an answer asks again
}
