package hints

import (
	"fmt"
	"sync/atomic"
)

// margin is how far an advised level lies above the chain: a minute of blocks.
const margin = 10

var node atomic.Bool

// HasNode takes down whether a node is configured; the reader of the configuration calls HasNode. With a node, commands
// in advice may count their level from the node's head.
func HasNode(yes bool) { node.Store(yes) }

// Level is an advised command for marks above everything signed. The argument lacks the last word, the level:
// "highwater activate --level". known is where the chain may be, 0 where nobody can tell.
//
// The result can be pasted: with a node the level counts from the node's head, without a node from known.
func Level(command string, known int64) string {
	switch {
	case node.Load():
		return fmt.Sprintf("%s head+%d", command, margin)
	case known > 0:
		return fmt.Sprintf("%s %d", command, known+margin)
	}
	return fmt.Sprintf("set `node` in the configuration, and run: %s head+%d", command, margin)
}
