#!/bin/sh
# Writes tezsign.pb.go anew from tezsign.proto. Compiler and generator are pinned in gen/go.mod; no protoc is needed.
set -eu
cd "$(dirname "$0")"
go run -C gen . "$PWD"
chmod 644 tezsign.pb.go
gofmt -l tezsign.pb.go
