package tezsign

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"highwater/tezsign/frame"
	pb "highwater/tezsign/tezsignpb"
)

// ManagerConfig describes the gadget to manage.
type ManagerConfig struct {
	Name   string   // for messages
	Serial string   // empty: the only connected gadget
	Open   OpenFunc // transport
	Log    *slog.Logger
}

// Manager speaks to a gadget's management interface. Each verb claims the management interface for its own time only,
// and never the signing interface: a Manager works beside a signing daemon, and two processes take turns. A Manager
// is safe for concurrent use.
type Manager struct {
	cfg   ManagerConfig
	keys  *keyCache
	tries throttle
	baton chan struct{} // holds one token: one verb at a time

	mu      sync.Mutex
	torn    bool                   // a frame was cut off on its way; see Device.torn
	pending map[frame.ID]time.Time // unlocks with lost answers, and the time when the gadget must have finished
}

// NewManager makes a manager without opening the gadget.
func NewManager(cfg ManagerConfig) *Manager {
	m := &Manager{cfg: cfg, keys: new(keyCache), baton: make(chan struct{}, 1), pending: map[frame.ID]time.Time{}}
	m.baton <- struct{}{}
	return m
}

// Waits around a claim.
const (
	claimWait  = 10 * time.Second // for another process to give the interface back
	claimAgain = 50 * time.Millisecond
	patience   = 2 * time.Second // for another process to give the interface back, while signatures are held up
	readyWait  = time.Second
)

// with runs f in a session on the management interface of g. When g is nil, with opens a gadget for f.
func (m *Manager) with(ctx context.Context, g Gadget, f func(*session) error) error {
	select {
	case <-m.baton:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { m.baton <- struct{}{} }()
	if g == nil {
		opened, err := m.cfg.Open(ctx, m.cfg.Serial)
		if errors.Is(err, ErrGone) {
			m.setTorn(false)
		}
		if err != nil {
			return err
		}
		defer opened.Close() //nolint:errcheck // nothing was written through it but whole frames
		g = opened
	}
	s, err := m.claim(ctx, g)
	if err != nil {
		return err
	}
	defer s.Close() //nolint:errcheck // as above
	err = f(s)
	var le *linkError
	if errors.As(err, &le) && le.torn {
		m.setTorn(true)
	}
	return err
}

func (m *Manager) setTorn(v bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.torn = v
}

func (m *Manager) isTorn() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.torn
}

// expectUnlock notes an unlock with a lost answer: the gadget may still be working, and a second unlock would reach
// keys unlocked by the first.
func (m *Manager) expectUnlock(id frame.ID, keys int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pending[id] = time.Now().Add(time.Duration(keys) * perKeyWait)
}

// unlockOver is called with every answer without a request in its session.
func (m *Manager) unlockOver(id frame.ID, _ []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.pending, id)
}

// unlockPending returns the time that an earlier unlock may still take.
func (m *Manager) unlockPending(now time.Time) (wait time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, end := range m.pending {
		if left := end.Sub(now); left > 0 {
			wait = max(wait, left)
		} else {
			delete(m.pending, id)
		}
	}
	return wait
}

// claim claims the management interface, waits for another process if necessary, and checks that the interface
// answers.
func (m *Manager) claim(ctx context.Context, g Gadget) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, claimWait)
	defer cancel()
	for {
		ch, err := g.Claim(ctx, ManageInterface)
		if err == nil {
			return m.greet(ctx, g, ch)
		}
		if !errors.Is(err, ErrInUse) {
			return nil, err
		}
		select {
		case <-time.After(claimAgain):
		case <-ctx.Done():
			return nil, fmt.Errorf("management interface: %w", err)
		}
	}
}

// greet makes a session of a claimed channel with a version round trip. The answers to requests of dead sessions
// arrive before the answer to version.
func (m *Manager) greet(ctx context.Context, g Gadget, ch Channel) (*session, error) {
	if m.isTorn() {
		return nil, errors.Join(errTorn, ch.Close())
	}
	if err := checkReady(ctx, g, ManageInterface); err != nil {
		return nil, errors.Join(err, ch.Close())
	}
	s := newSession(ch, m.cfg.Log, m.unlockOver)
	if _, err := version(ctx, s); err != nil {
		return nil, errors.Join(fmt.Errorf("management interface: %w", err), s.Close())
	}
	return s, nil
}

// ErrStarting is wrapped when the gadget is on the bus without a running program (yet).
var ErrStarting = errors.New("the gadget is starting")

// checkReady keeps the host from writing to a gadget whose program does not read.
func checkReady(ctx context.Context, g Gadget, iface int) error {
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	ok, err := ready(ctx, g, iface)
	if err != nil {
		return err
	}
	if !ok {
		return ErrStarting
	}
	return nil
}

// Version is the version of the gadget's program.
type Version struct {
	Version   string `json:"version"`
	BuildDate string `json:"build_date"`
}

// Version asks for the gadget's version.
func (m *Manager) Version(ctx context.Context) (v Version, err error) {
	err = m.with(ctx, nil, func(s *session) error {
		v, err = version(ctx, s)
		return err
	})
	return v, err
}

func version(ctx context.Context, s *session) (Version, error) {
	resp, err := s.do(ctx, callVersion, &pb.Request{Body: &pb.Request_Version{Version: &pb.Empty{}}})
	if err != nil {
		return Version{}, err
	}
	v := resp.GetVersion()
	if v == nil {
		return Version{}, fmt.Errorf("%w to version", ErrAnswer)
	}
	return Version{printable(v.GetVersion()), printable(v.GetBuildDate())}, nil
}

// Status asks for all keys and their states.
func (m *Manager) Status(ctx context.Context) (keys []KeyState, err error) {
	err = m.with(ctx, nil, func(s *session) error {
		keys, err = status(ctx, s, m.keys)
		return err
	})
	return keys, err
}

func status(ctx context.Context, s *session, cache *keyCache) ([]KeyState, error) {
	resp, err := s.do(ctx, callStatus, &pb.Request{Body: &pb.Request_Status{Status: &pb.Empty{}}})
	if err != nil {
		return nil, err
	}
	st, ok := resp.GetBody().(*pb.Response_Status)
	if !ok {
		return nil, fmt.Errorf("%w to status", ErrAnswer)
	}
	return readStatus(st.Status, cache)
}

// InitInfo tells whether a gadget was initialised, and how.
type InitInfo struct {
	Master        bool `json:"master_present"`
	Deterministic bool `json:"deterministic"` // the gadget derives keys from one seed, by their creation index
}

// InitInfo asks whether the gadget was initialised.
func (m *Manager) InitInfo(ctx context.Context) (info InitInfo, err error) {
	err = m.with(ctx, nil, func(s *session) error {
		resp, doErr := s.do(ctx, callInitInfo, &pb.Request{Body: &pb.Request_InitInfo{InitInfo: &pb.Empty{}}})
		if doErr != nil {
			return doErr
		}
		body, ok := resp.GetBody().(*pb.Response_InitInfo)
		if !ok {
			return fmt.Errorf("%w to init_info", ErrAnswer)
		}
		info = InitInfo{Master: body.InitInfo.GetMasterPresent(), Deterministic: body.InitInfo.GetDeterministicEnabled()}
		return nil
	})
	return info, err
}

// MaxLogLines is the highest number of lines that Logs asks for: an answer has at most 64 KiB.
const MaxLogLines = 200

// Logs returns the last lines of the gadget's log, newest last.
func (m *Manager) Logs(ctx context.Context, limit int) (lines []string, err error) {
	limit = max(1, min(limit, MaxLogLines))
	err = m.with(ctx, nil, func(s *session) error {
		req := &pb.LogsRequest{Limit: uint32(limit)} //nolint:gosec // bounded above
		resp, doErr := s.do(ctx, callLogs, &pb.Request{Body: &pb.Request_Logs{Logs: req}})
		if doErr != nil {
			return doErr
		}
		body, ok := resp.GetBody().(*pb.Response_Logs)
		if !ok {
			return fmt.Errorf("%w to logs", ErrAnswer)
		}
		for _, l := range body.Logs.GetLines() {
			lines = append(lines, printable(l))
		}
		return nil
	})
	return lines, err
}
