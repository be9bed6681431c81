#!/bin/bash
# etcd 3.7.3: a lease of one second is granted for two.
#
# Guess: a lease of a second ends after a second, or is refused.
# Seen:  etcd raises it without an error to one and a half times its election time-out, rounded up: 2 s with the default timers, 15 s where
#        the election takes 10 s, as in a cluster over a slow link. The answer's TTL is the only word of it.
# So:    no time-out of a signer follows from the TTL that it asked for; it reads the TTL that was granted.
#
# Needs go and no C compiler; two servers are started inside the program, in a temporary directory, behind unix sockets.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat >expected <<'END'
etcd 3.7.3
election time-out 1s: asked for 1 s, granted 2 s
election time-out 10s: asked for 1 s, granted 15 s
END

cat >main.go <<'END'
package main

import (
	"context"
	"fmt"
	"log"
	"net/url"
	"os"
	"time"

	"go.etcd.io/etcd/api/v3/version"
	etcd "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func grant(dir string, election time.Duration) {
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel = dir+"/data", "fatal"
	cfg.TickMs, cfg.ElectionMs, cfg.InitialElectionTickAdvance = uint(election.Milliseconds()/10), uint(election.Milliseconds()), true
	client := url.URL{Scheme: "unix", Path: dir + "/client.sock"}
	peer := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls, cfg.ListenPeerUrls = []url.URL{client}, []url.URL{client}, []url.URL{peer}
	server, err := embed.StartEtcd(cfg)
	must(err)
	defer server.Close()
	<-server.Server.ReadyNotify()
	c, err := etcd.New(etcd.Config{Endpoints: []string{client.String()}})
	must(err)
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	lease, err := c.Grant(ctx, 1)
	must(err)
	fmt.Printf("election time-out %s: asked for 1 s, granted %d s\n", election, lease.TTL)
}

func main() {
	fmt.Println("etcd", version.Version)
	for _, election := range []time.Duration{time.Second, 10 * time.Second} {
		dir, err := os.MkdirTemp(os.Args[1], "server")
		must(err)
		grant(dir, election)
	}
}
END
go mod init finding 2>log || { cat log >&2; exit 1; }
go get go.etcd.io/etcd/api/v3@v3.7.3 go.etcd.io/etcd/client/v3@v3.7.3 go.etcd.io/etcd/server/v3@v3.7.3 2>log || { cat log >&2; exit 1; }
GOFLAGS=-mod=mod CGO_ENABLED=0 go run . "$dir" >seen
cat seen
diff -u expected seen
