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

// What the signers that Highwater is compared with do before they sign.
const (
	floorAppend = "append" // one record appended, one fdatasync, one request after the other
	floorGroup  = "group"  // all records that arrived appended together, one fdatasync for them
	floorFile   = "file"   // a JSON file of all keys written and renamed behind one lock, never synced
	floorNone   = "none"   // nothing at all, and a device's latency: what HTTP and the clock take by themselves
)

// recorder remembers that a key is about to sign a payload.
type recorder interface {
	record(pkh string, payload []byte) error
}

// newRecorder opens the recorder of that name in dir.
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

// recordSize is about what a mark takes: key, position, digest, signature, checksum.
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

// group is one goroutine that writes what arrived while the last sync was under way.
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

// fileMarks keeps its marks in the manner that Signatory describes for its file watermarks: one JSON file for a chain,
// all keys in it, written whole beside it and renamed at each request, behind one lock, without any sync. It is our
// model of that manner, made from its description; it is not that program, and does less than it.
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

// floorKeys are the keys of every floor: who asks knows them too.
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
	defer probe.Close() //nolint:errcheck // nothing in it matters
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
	_, _ = w.Write(body) // the client has gone: there is nobody to tell
}

// probePath is where a floor measures the disk under it, as it is and as slow as it was made for this process.
const probePath = "/probe"

// diskTimes are medians, in nanoseconds.
type diskTimes struct {
	Sync   time.Duration `json:"sync"`   // one page written and synced
	Commit time.Duration `json:"commit"` // what a bbolt transaction asks of the disk: some pages, a sync, a header, a sync
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
