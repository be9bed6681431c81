package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"highwater/failover/heard"
	"highwater/failover/moment"
	"highwater/hwm"
	"highwater/internal/certs"
	"highwater/internal/config"
	"highwater/internal/heldlog"
	"highwater/internal/hints"
	"highwater/register"
	"highwater/register/etcd"
	"highwater/store"
)

// share is the part of an instance that shares its right to sign with others.
type share struct {
	backend *etcd.Register
	right   *register.Right
	machine *register.Instance
	keeper  *register.Keeper
	desk    *register.Desk
	quiet   func(context.Context) error // nil at a good moment for the right to come here
	next    hwm.InstanceID              // that a clean stop releases the right to; zero: any
}

// OpenRegister opens the register of a configuration. It waits for no member.
func OpenRegister(cfg *config.Config, cluster uint64, log *slog.Logger) (*etcd.Register, error) {
	var files *etcd.TLS
	for _, e := range cfg.Register.Endpoints {
		if strings.HasPrefix(e, "https:") {
			files = &etcd.TLS{CA: cfg.Register.CA, Cert: cfg.Register.Cert, Key: cfg.Register.Key, Log: log}
		}
	}
	r, err := etcd.Open(etcd.Config{
		Endpoints: cfg.Register.Endpoints, Key: cfg.RegisterKey(), TLS: files,
		Cluster: cluster,
	})
	if err != nil {
		return nil, hints.Add(fmt.Errorf("register: %w", err), "see [register] in "+cfg.Path)
	}
	return r, nil
}

// mayShare refuses a configuration that fits not what the state directory knows: an instance that shared its right must
// not go on alone.
func mayShare(cfg *config.Config, db *store.DB) error {
	seen := db.RegisterSeen()
	_, paired := db.Peer()
	switch {
	case cfg.Shared() && paired:
		return hints.Add(errors.New("this instance is half of a pair, and [register] is configured: the right to "+
			"sign has a single giver"),
			"highwater peer remove, on both machines, with [register] out of the configuration; see docs/register.md")
	case cfg.Shared() && seen.Detached != 0:
		return hints.Add(errors.New("this instance left the register for good, and [register] is configured"),
			"take [register] out; or make a new record: docs/register.md, \"Back to a register\"")
	case !cfg.Shared() && seen.Cluster != 0 && seen.Detached == 0:
		return hints.Add(errors.New("this instance shares the right to sign through a register, and [register] is "+
			"not configured: another machine may sign now"),
			"put [register] back; or leave the register for good: highwater register detach --help")
	}
	return nil
}

// newShare makes the right of a daemon; its signer, which has the same lines, is added by connect.
func newShare(cfg *config.Config, db *store.DB, log *slog.Logger, lines *heldlog.Lines, in *Instance) (*share, error) {
	backend, err := OpenRegister(cfg, db.RegisterSeen().Cluster, log)
	if err != nil {
		return nil, err
	}
	s := &share{backend: backend, machine: &register.Instance{Store: db, Log: lines.Logger(log)}}
	s.right = register.New(register.Config{
		Backend: backend, Memory: s.machine, Chain: cfg.ChainID, Me: db.Instance(), Life: register.NewLife(),
		Ahead: cfg.Register.Ahead, Priority: cfg.Register.Priority, AuditHead: in.auditHead, Heard: in.heardRelease,
	})
	policy := register.Policy{
		Automatic: cfg.Register.Automatic, Patience: cfg.Register.Patience,
		Priority: cfg.Register.Priority,
	}
	s.keeper = register.NewKeeper(register.KeeperConfig{
		Right: s.right, Machine: s.machine, Policy: policy, Me: db.Instance(), Log: log, Lines: lines,
		Watch: backend.Watch, Quiet: s.quietly,
	})
	s.desk = &register.Desk{
		Keeper: s.keeper, Machine: s.machine, Name: cfg.RegisterKey(), Policy: policy,
		Ahead: cfg.Register.Ahead,
	}
	if !policy.Automatic { // nobody else takes it without a person
		s.next = db.Instance()
	}
	return s, nil
}

// registerCertificates are the certificates for the register; none where the right is not shared, or without TLS.
func (in *Instance) registerCertificates() []*certs.Files {
	if in.share == nil || in.share.backend.Certificates() == nil {
		return nil
	}
	return []*certs.Files{in.share.backend.Certificates()}
}

// connect adds what was made after the right.
func (s *share) connect(in *Instance) {
	s.machine.Signer, s.machine.Level = in.Signer, in.head
	s.machine.InStep = func(ctx context.Context) error {
		if line, _ := in.node.Heads().Check(ctx); !line.Result.Passed() {
			return errors.New("its node: " + line.Detail)
		}
		return nil
	}
	s.quiet = func(ctx context.Context) error {
		m, err := in.node.Quiet(ctx, moment.Window{Within: quietWithin}, nil)
		if err != nil || m.Good {
			return err
		}
		return errors.New("no good moment: " + m.Finding().Detail)
	}
	in.Signer.Explain("the register has not given the right to sign to this process yet", "see: highwater status")
}

// quietWithin is how many levels a good moment may be away: a machine with many blocks takes the best gap.
const quietWithin = 20

// quietly asks for the moment, once the instance is whole.
func (s *share) quietly(ctx context.Context) error { return s.quiet(ctx) }

// sharedRight is the right as the signer asks for it.
type sharedRight struct {
	*register.Right
	share *share
}

func (r sharedRight) Wanted() { r.share.keeper.Poke() }

func (r sharedRight) Why() string { return r.share.desk.Why() }

// watchedHeads have the keeper look at each new head.
type watchedHeads struct {
	*heard.Heads
	poke func()
}

// Saw keeps a head, and has it looked at.
func (w watchedHeads) Saw(level int32, at time.Time) {
	w.Heads.Saw(level, at)
	w.poke()
}

// sharedStore shows the guard the limit of this instance's right as a ceiling: above the limit others may sign.
type sharedStore struct {
	*store.DB
	right *register.Right
}

// State is the store's, with the limit.
func (s sharedStore) State(key hwm.Key) (hwm.State, error) {
	st, err := s.DB.State(key)
	if _, limit, _ := s.right.May(key.PKH, key.Kind); st.Ceiling == nil || limit < st.Ceiling.Level {
		st.Ceiling = &hwm.Ceiling{Level: limit}
	}
	return st, err
}

// leaveTimeout bounds the release of a clean stop: the last signatures, the disk, and the register.
const leaveTimeout = 8 * time.Second

// leave gives the right away with exact marks, so that another machine goes on at once, and this one after its restart.
// A register that does not answer keeps nobody: the horizon ends by itself.
func (s *share) leave(log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	switch rec, err := s.keeper.Release(ctx, s.next, "stopped in order"); {
	case errors.Is(err, register.ErrLost):
	case err != nil:
		log.Warn("right not released", "error", err)
	default:
		log.Info("right released", "epoch", rec.Epoch)
	}
}
