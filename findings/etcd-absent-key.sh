#!/bin/bash
# etcd 3.7.3: a comparison with the value of a key that is not there fails, and so does its opposite.
#
# Guess: of "value = x" and "value != x" one holds, and an absent key has the value "".
# Seen:  all comparisons with an absent key's value fail, "!=" and "<" as well. Its revisions and its lease compare as 0.
# So:    a register asks for its record's value and takes a failure for nothing more than "not that"; who wants "nobody has it" compares
#        the create revision with 0.
#
# Needs go and no C compiler; one server is started inside the program, in a temporary directory, behind a unix socket.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat >expected <<'END'
etcd 3.7.3
value = "a": false
value != "a": false
value = "": false
value < "z": false
create revision = 0: true
mod revision != 7: true
lease = 0: true
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

func main() {
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel = os.Args[1]+"/data", "fatal"
	client := url.URL{Scheme: "unix", Host: "", Path: os.Args[1] + "/client.sock"}
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

	fmt.Println("etcd", version.Version)
	for _, row := range []struct {
		what string
		cmp  etcd.Cmp
	}{
		{`value = "a"`, etcd.Compare(etcd.Value("k"), "=", "a")},
		{`value != "a"`, etcd.Compare(etcd.Value("k"), "!=", "a")},
		{`value = ""`, etcd.Compare(etcd.Value("k"), "=", "")},
		{`value < "z"`, etcd.Compare(etcd.Value("k"), "<", "z")},
		{"create revision = 0", etcd.Compare(etcd.CreateRevision("k"), "=", 0)},
		{"mod revision != 7", etcd.Compare(etcd.ModRevision("k"), "!=", 7)},
		{"lease = 0", etcd.Compare(etcd.LeaseValue("k"), "=", 0)},
	} {
		r, err := c.Txn(ctx).If(row.cmp).Commit()
		must(err)
		fmt.Printf("%s: %v\n", row.what, r.Succeeded)
	}
}
END
go mod init finding 2>log || { cat log >&2; exit 1; }
go get go.etcd.io/etcd/api/v3@v3.7.3 go.etcd.io/etcd/client/v3@v3.7.3 go.etcd.io/etcd/server/v3@v3.7.3 2>log || { cat log >&2; exit 1; }
GOFLAGS=-mod=mod CGO_ENABLED=0 go run . "$dir" >seen
cat seen
diff -u expected seen
