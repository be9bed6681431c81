package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"highwater/test/harness"
)

// slowSync is the delay of every sync of a slow disk.
const slowSync = 2 * time.Millisecond

// under is the front of a command line: nothing, or a slow disk.
func under(slow bool) []string {
	if !slow {
		return nil
	}
	return harness.SlowDisk(slowSync)
}

// canSlowDisk tells why no process can be given a slow disk here, or nil.
func canSlowDisk(ctx context.Context) error {
	if _, err := exec.LookPath("strace"); err != nil {
		return errors.New("strace is not installed")
	}
	args := append(under(true), "true")
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput() //nolint:gosec // fixed
	if err != nil {
		line, _, _ := bytes.Cut(bytes.TrimSpace(out), []byte("\n"))
		return fmt.Errorf("strace is not permitted: %s", line)
	}
	return nil
}

// startFloor starts a floor with n keys in a new directory under dir.
func startFloor(ctx context.Context, dir, name string, n int, slow bool) (*contender, error) {
	return startFloorUnder(ctx, dir, name, n, under(slow))
}

func startFloorUnder(ctx context.Context, dir, name string, n int, under []string) (*contender, error) {
	own, err := os.MkdirTemp(dir, name+"-")
	if err != nil {
		return nil, err
	}
	address, err := harness.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := append(slices.Clone(under), self, "-floor", name, "-dir", own, "-listen", address, "-keys", strconv.Itoa(n))
	p, err := harness.Spawn(filepath.Join(own, "log"), args...)
	if err != nil {
		return nil, err
	}
	c := &contender{name: name, base: "http://" + address, process: p}
	if err = awaitPage(ctx, p, c.base+"/authorized_keys"); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	keys, err := floorKeys(n)
	if err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	for _, k := range keys {
		c.keys = append(c.keys, contenderKeyOf(k.PublicKey()))
	}
	return c, nil
}

// awaitPage waits until a process answers a page with 200.
func awaitPage(ctx context.Context, p *harness.Process, url string) error {
	return p.Await(ctx, func(ctx context.Context) bool {
		_, err := harness.Get(ctx, http.DefaultClient, url)
		return err == nil
	})
}

// probe asks a floor for the times of its disk.
func (c *contender) probe(ctx context.Context) (diskTimes, error) {
	body, err := harness.Get(ctx, http.DefaultClient, c.base+probePath)
	if err != nil {
		return diskTimes{}, err
	}
	var t diskTimes
	err = json.Unmarshal(body, &t)
	return t, err
}
