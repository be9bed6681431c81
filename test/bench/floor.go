package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"highwater/api"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
)

// The acts before a signature in the compared signers.
const (
	floorAppend = "append" // one record appended, one fdatasync, one request after the other
	floorGroup  = "group"  // all waiting records appended together, with one fdatasync
	floorFile   = "file"   // a JSON file of all keys written and renamed behind one lock, never synced
	floorNone   = "none"   // only a device's latency: the cost of HTTP and of the clock
)

// recorder remembers that a key is about to sign a payload.
type recorder interface {
	record(pkh string, payload []byte) error
}

// newRecorder opens the recorder with the given name in dir.
func newRecorder(name, dir string) (recorder, error) {
	switch name {
	case floorNone:
		return nothing{}, nil
	case floorFile:
		return &fileMarks{path: filepath.Join(dir, "watermark.json"), marks: map[string]fileMark{}}, nil
	}
	f, err := os.OpenFile(filepath.Join(dir, "records"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600) //nolint:gosec // our own directory
	if err != nil {
		return nil, err
	}
	switch name {
	case floorAppend:
		return &appender{file: f}, nil
	case floorGroup:
		g := &group{file: f, arrived: make(chan groupRecord, 1024)}
		go g.run()
		return g, nil
	}
	return nil, errors.Join(fmt.Errorf("no floor is called %q", name), f.Close())
}

// nothing waits as long as a device of deviceLatency would, and remembers nothing.
type nothing struct{}

func (nothing) record(string, []byte) error {
	<-time.After(deviceLatency)
	return nil
}

// recordSize is about the size of a mark: key, position, digest, signature, checksum.
const recordSize = 192

func recordOf(pkh string, payload []byte) []byte {
	b := make([]byte, recordSize)
	digest := tezos.Digest(payload)
	copy(b[copy(b, pkh):], digest[:])
	return b
}

type appender struct {
	mu   sync.Mutex
	file *os.File
}

func (a *appender) record(pkh string, payload []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return appendSync(a.file, recordOf(pkh, payload))
}

func appendSync(f *os.File, b []byte) error {
	if _, err := f.Write(b); err != nil {
		return err
	}
	return unix.Fdatasync(int(f.Fd()))
}

// group is one goroutine that writes all records of the time of the last sync.
type group struct {
	file    *os.File
	arrived chan groupRecord
}

type groupRecord struct {
	bytes []byte
	done  chan error
}

func (g *group) record(pkh string, payload []byte) error {
	r := groupRecord{recordOf(pkh, payload), make(chan error, 1)}
	g.arrived <- r
	return <-r.done
}

// run never ends: the process does.
func (g *group) run() {
	for first := range g.arrived {
		waiting, all := []groupRecord{first}, first.bytes
		for range len(g.arrived) {
			next := <-g.arrived
			waiting, all = append(waiting, next), append(all, next.bytes...)
		}
		err := appendSync(g.file, all)
		for _, w := range waiting {
			w.done <- err
		}
	}
}

// fileMarks keeps its marks as Signatory describes its file watermarks: one JSON file for a chain with all keys,
// written whole under another name and renamed at each request, behind one lock, without any sync. fileMarks is our
// model of the description, not Signatory's program, and does less.
type fileMarks struct {
	path  string
	mu    sync.Mutex
	marks map[string]fileMark
}

type fileMark struct {
	Level int32  `json:"level"`
	Round int32  `json:"round"`
	Hash  string `json:"hash"`
}

func (f *fileMarks) record(pkh string, payload []byte) error {
	req, err := tezos.Decode(tezos.Ed25519, payload)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	key := pkh + "/" + req.Kind.String()
	if have, ok := f.marks[key]; ok && req.Level <= have.Level {
		return errors.New("not above the watermark")
	}
	f.marks[key] = fileMark{req.Level, req.Round, hex.EncodeToString(req.Digest[:])}
	text, err := json.Marshal(f.marks)
	if err != nil {
		return err
	}
	if err := os.WriteFile(f.path+".new", text, 0o600); err != nil { //nolint:gosec // our own directory
		return err
	}
	return os.Rename(f.path+".new", f.path) //nolint:gosec // our own directory
}

// floor answers as a signer does, with the recorder's durability and nothing else.
type floor struct {
	recorder recorder
	keys     map[string]*softkey.Key
	probe    *os.File
}

// floorKeys are the keys of every floor, known to the clients too.
func floorKeys(n int) ([]*softkey.Key, error) {
	out := make([]*softkey.Key, 0, n)
	for i := range n {
		k, err := softkey.New(tezos.Ed25519, fmt.Appendf(nil, "a floor's key number %04d", i))
		if err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	return out, nil
}

// serveFloor answers at address until ctx ends, with the settings of Highwater's own listener.
func serveFloor(ctx context.Context, name, dir, address string, n int) error {
	r, err := newRecorder(name, dir)
	if err != nil {
		return err
	}
	probe, err := os.OpenFile(filepath.Join(dir, "probe"), os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // our own directory
	if err != nil {
		return err
	}
	defer probe.Close() //nolint:errcheck // the file holds nothing of value
	f := &floor{recorder: r, keys: map[string]*softkey.Key{}, probe: probe}
	keys, err := floorKeys(n)
	if err != nil {
		return err
	}
	for _, k := range keys {
		f.keys[k.PublicKey().Hash().String()] = k
	}
	l, err := api.Listen(ctx, address, 0)
	if err != nil {
		return err
	}
	return api.Serve(ctx, l, f, slog.New(slog.DiscardHandler))
}

func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/authorized_keys":
		answer(w, struct{}{})
	case r.URL.Path == probePath:
		p, err := probeDisk(f.probe)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer(w, p)
	case r.Method == http.MethodPost:
		f.sign(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (f *floor) sign(w http.ResponseWriter, r *http.Request) {
	pkh := strings.TrimPrefix(r.URL.Path, "/keys/")
	key, ok := f.keys[pkh]
	if !ok {
		http.NotFound(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, api.MaxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	payload, err := hex.DecodeString(string(bytes.Trim(body, "\"\n")))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := f.recorder.record(pkh, payload); err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	answer(w, map[string]string{"signature": key.Sign(payload).String()})
}

func answer(w http.ResponseWriter, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	_, _ = w.Write(body) // an error means that the client is gone
}

// probePath measures the floor's disk, with the slow syncs of the floor's process.
const probePath = "/probe"

// diskTimes are medians, in nanoseconds.
type diskTimes struct {
	Sync   time.Duration `json:"sync"`   // one page written and synced
	Commit time.Duration `json:"commit"` // the syncs of a bbolt transaction: some pages, a sync, a header, a sync
}

const (
	probeRounds = 40
	probePage   = 4096
	probePages  = 4
)

func probeDisk(f *os.File) (diskTimes, error) {
	var syncs, commits []time.Duration
	page := make([]byte, probePage*probePages)
	write := func(n int, at int64) error {
		if _, err := f.WriteAt(page[:n], at); err != nil {
			return err
		}
		return unix.Fdatasync(int(f.Fd()))
	}
	for i := range probeRounds {
		page[0]++
		start := time.Now()
		if err := write(probePage, 0); err != nil {
			return diskTimes{}, err
		}
		middle := time.Now()
		if err := errors.Join(write(len(page), int64(1+i%2)*int64(len(page))), write(probePage, 0)); err != nil {
			return diskTimes{}, err
		}
		syncs, commits = append(syncs, middle.Sub(start)), append(commits, time.Since(middle))
	}
	return diskTimes{quantile(syncs, 0.5), quantile(commits, 0.5)}, nil
}
