package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"highwater/test/harness"
)

// quota is the largest size of a member's database, in bytes: small, so that a scenario can fill it.
const quota = 20 << 20

// recordKey is the record's key in the register.
var recordKey = fmt.Sprintf("/highwater/%s/bakery", harness.Chain)

// server is a member of the register: an etcd with a data directory.
type server struct {
	*harness.Process
	log     string
	command []string
	data    string
	host    harness.Host
}

// start starts the member, by a command of its own if given.
func (s *server) start(under ...string) (err error) {
	s.Process, err = s.host.Spawn(s.log, append(under, s.command...)...)
	return err
}

// again kills the member, and starts the member again, by a command of its own if given.
func (s *server) again(under ...string) error { return errors.Join(s.Kill(), s.start(under...)) }

// newServer describes a member of a cluster, on a machine. Each client shows a certificate.
func (w *world) newServer(name string, machine int, client, peer, cluster string) *server {
	s := &server{log: filepath.Join(w.dir, name+".log"), data: filepath.Join(w.dir, name), host: w.site(machine).host()}
	s.command = []string{
		w.etcd, "--name", name, "--data-dir", s.data, "--listen-client-urls", "https://" + client,
		"--advertise-client-urls", "https://" + client, "--listen-peer-urls", "http://" + peer,
		"--initial-advertise-peer-urls", "http://" + peer, "--initial-cluster", cluster, "--initial-cluster-token", name[:1],
		"--cert-file", w.pki.file("server"), "--key-file", w.pki.private("server"), "--client-cert-auth",
		"--trusted-ca-file", w.pki.file(authorityName), "--quota-backend-bytes", fmt.Sprint(quota),
	}
	return s
}

// startRegister starts the members, and gives their addresses. Each machine has a user that may touch the record only.
func (w *world) startRegister(ctx context.Context) ([]string, error) {
	var peers, cluster []string
	for i := range machines {
		client, err := w.memberAddress(ctx, i, clientPort)
		if err != nil {
			return nil, err
		}
		peer, err := w.memberAddress(ctx, i, peerPort)
		if err != nil {
			return nil, err
		}
		w.clients, peers = append(w.clients, client), append(peers, peer)
		cluster = append(cluster, fmt.Sprintf("m%d=http://%s", i, peer))
	}
	for i := range machines {
		s := w.newServer(fmt.Sprintf("m%d", i), i, w.clients[i], peers[i], strings.Join(cluster, ","))
		if err := s.start(); err != nil {
			return nil, err
		}
		w.members = append(w.members, s)
	}
	return w.clients, w.users(ctx)
}

// users makes the users and turns permissions on, as the operator does.
func (w *world) users(ctx context.Context) error {
	commands := [][]string{
		{"role", "add", "highwater"},
		{"role", "grant-permission", "highwater", "readwrite", recordKey},
		{"user", "add", "root", "--no-password"},
		{"user", "grant-role", "root", "root"},
	}
	for i := range machines {
		user := bakery(i)
		commands = append(commands, []string{"user", "add", user, "--no-password"},
			[]string{"user", "grant-role", user, "highwater"})
		if err := w.pki.issue(user, time.Now().AddDate(1, 0, 0)); err != nil {
			return err
		}
	}
	for i, args := range append(commands, []string{"auth", "enable"}) {
		_, err := w.ctl(ctx, nil, args...)
		for tries := 0; err != nil && i == 0 && tries < 20; tries++ { // until the members have found each other
			_, err = w.ctl(ctx, nil, args...)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func bakery(i int) string { return fmt.Sprintf("bakery-%d", i) }

// ctl is etcdctl in the hands of the operator, with all members.
func (w *world) ctl(ctx context.Context, stdin []byte, args ...string) ([]byte, error) {
	return w.ctlAt(ctx, w.clients, stdin, args...)
}

// ctlAt asks certain members.
func (w *world) ctlAt(ctx context.Context, members []string, stdin []byte, args ...string) ([]byte, error) {
	endpoints := make([]string, 0, len(members))
	for _, c := range members {
		endpoints = append(endpoints, "https://"+c)
	}
	args = append([]string{
		"--endpoints", strings.Join(endpoints, ","), "--cacert", w.pki.file(authorityName),
		"--cert", w.pki.file("root"), "--key", w.pki.private("root"),
	}, args...)
	cmd := exec.CommandContext(ctx, "etcdctl", args...) //nolint:gosec // ours
	cmd.Env = append(os.Environ(), "ETCDCTL_API=3")
	if stdin != nil {
		cmd.Stdin = bytes.NewReader(stdin)
	}
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := w.site(operator).host().Run(cmd); err != nil {
		return nil, fmt.Errorf("etcdctl %s: %w: %s", strings.Join(args[8:], " "), err, said.Bytes())
	}
	return out.Bytes(), nil
}

// record is the value of the record.
func (w *world) record(ctx context.Context) ([]byte, error) {
	out, err := w.ctl(ctx, nil, "get", recordKey, "--print-value-only")
	return bytes.TrimSuffix(out, []byte("\n")), err
}

// revision is the register's newest revision.
func (w *world) revision(ctx context.Context) (string, error) {
	out, err := w.ctl(ctx, nil, "get", recordKey, "--write-out", "json")
	var v struct {
		Header struct {
			Revision json.Number `json:"revision"`
		} `json:"header"`
	}
	if err == nil {
		err = json.Unmarshal(out, &v)
	}
	return v.Header.Revision.String(), err
}
