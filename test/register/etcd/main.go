// Command etcd is the server of the newest tested release of etcd. The server is a module of
// its own: Highwater needs etcd's client only.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
