package main

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/baker"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
)

// A floor's process is this program again.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-floor" {
		main()
		return
	}
	os.Exit(m.Run())
}

func attestation(level int32) []byte {
	return baker.Step{Chain: benchChain, Kind: tezos.Attestation, Level: level}.Payload(tezos.Ed25519)
}

// What a floor is slower or faster by is what it writes: each record must be there once it has answered.
func TestRecordersWriteBeforeTheyReturn(t *testing.T) {
	for _, name := range []string{floorAppend, floorGroup} {
		dir := t.TempDir()
		r, err := newRecorder(name, dir)
		require.NoError(t, err)
		const askers, each = 8, 5
		var wg sync.WaitGroup
		errs := make(chan error, askers*each)
		for a := range askers {
			wg.Go(func() {
				for i := range each {
					errs <- r.record("key", attestation(int32(100*a+i)))
				}
			})
		}
		wg.Wait()
		for range askers * each {
			require.NoError(t, <-errs)
		}
		info, err := os.Stat(filepath.Join(dir, "records"))
		require.NoError(t, err)
		require.Equal(t, int64(askers*each*recordSize), info.Size(), name)
	}
	_, err := newRecorder("another", t.TempDir())
	require.Error(t, err)
}

func TestFileModelKeepsAllKeysInOneFile(t *testing.T) {
	dir := t.TempDir()
	r, err := newRecorder(floorFile, dir)
	require.NoError(t, err)
	require.NoError(t, r.record("one", attestation(5)))
	require.NoError(t, r.record("two", attestation(6)))
	require.Error(t, r.record("one", attestation(5)), "not above")
	text, err := os.ReadFile(filepath.Join(dir, "watermark.json"))
	require.NoError(t, err)
	var marks map[string]fileMark
	require.NoError(t, json.Unmarshal(text, &marks))
	require.Len(t, marks, 2)
	require.Equal(t, int32(5), marks["one/attestation"].Level)
	require.Equal(t, int32(6), marks["two/attestation"].Level)
}

// The same client as ours must be content with a floor: it verifies.
func TestFloorProcessUnderLoad(t *testing.T) {
	for _, name := range []string{floorAppend, floorGroup, floorFile} {
		c, err := startFloor(t.Context(), t.TempDir(), name, 3, false)
		require.NoError(t, err)
		for _, s := range styles {
			got, loadErr := load(t.Context(), c, s, time.Minute, 20)
			require.NoError(t, loadErr)
			require.Len(t, got.latency, 20, "%s, %s", name, s.name)
		}
		disk, err := c.probe(t.Context())
		require.NoError(t, err)
		require.Positive(t, disk.Sync)
		require.Greater(t, disk.Commit, disk.Sync, "two syncs take longer than one")
		require.NoError(t, c.process.Stop())
	}
}

// A key that was asked for too low is an error of the load, and not a quick answer.
func TestLoadReportsARefusal(t *testing.T) {
	r, err := newRecorder(floorFile, t.TempDir())
	require.NoError(t, err)
	keys, err := floorKeys(1)
	require.NoError(t, err)
	pkh := keys[0].PublicKey().Hash().String()
	f := &floor{recorder: r, keys: map[string]*softkey.Key{pkh: keys[0]}}
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	require.NoError(t, r.record(pkh, attestation(benchStart+10)))
	c := &contender{name: "model", base: srv.URL, keys: []contenderKey{contenderKeyOf(keys[0].PublicKey())}}
	_, err = load(t.Context(), c, keptStyle, time.Minute, 5)
	var refusal *baker.Refusal
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, 409, refusal.Status)
}

func TestDeviceAloneTakesItsLatency(t *testing.T) {
	times, err := deviceAlone(t.Context(), 2*time.Millisecond, 3)
	require.NoError(t, err)
	require.Len(t, times, 3)
	for _, d := range times {
		require.GreaterOrEqual(t, d, 2*time.Millisecond)
	}
}

func TestBatchWaitsItsDelay(t *testing.T) {
	batch, update, err := batchTimes(t.TempDir(), 3)
	require.NoError(t, err)
	require.GreaterOrEqual(t, quantile(batch, 0.5), batchDefault)
	require.Len(t, update, 3)
}
