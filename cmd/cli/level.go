package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"highwater/hwm"
	"highwater/internal/config"
	"highwater/internal/hints"
	"highwater/internal/node"
	"highwater/internal/terminal"
	"highwater/operate"
)

// LevelValue is a level on the command line: a number, or head, head+N or head-N of the node.
type LevelValue struct {
	text   string
	number int64
	head   bool // number is counted from the head
}

// String implements pflag.Value.
func (v *LevelValue) String() string { return v.text }

// Type implements pflag.Value.
func (v *LevelValue) Type() string { return "LEVEL" }

// Set implements pflag.Value. Capital letters are the same.
func (v *LevelValue) Set(text string) error {
	digits, head := strings.CutPrefix(strings.ToLower(text), "head")
	if head && digits == "" {
		digits = "+0"
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || head && digits[0] != '+' && digits[0] != '-' {
		return fmt.Errorf("%.40q is no level: a number, or head+N with a node", text)
	}
	*v = LevelValue{text, n, head}
	return nil
}

// LevelIf is the level of a flag, or nil without the flag. A level counted from the head is shown once resolved.
func (a *App) LevelIf(c *cobra.Command, name string, v LevelValue) (*int32, error) {
	if !c.Flags().Changed(name) {
		return nil, nil //nolint:nilnil // the flag was not given, and nothing failed
	}
	level, err := a.Level(c.Context(), name, v)
	return &level, err
}

// Level is the level of a flag. A level counted from the head is shown once resolved.
func (a *App) Level(ctx context.Context, name string, v LevelValue) (int32, error) {
	if !v.head {
		return LevelFlag(name, v.number)
	}
	cfg, err := a.Config()
	if err != nil {
		return 0, err
	}
	head, err := askHead(ctx, cfg)
	if err != nil {
		return 0, hints.Add(fmt.Errorf("--%s %s: %w", name, v.text, err), "type the level itself, or see `node` in "+cfg.Path)
	}
	level, err := LevelFlag(name, int64(head)+v.number)
	if err == nil {
		a.Note("--%s %s is level %d: the node's head is at %d", name, v.text, level, head)
	}
	return level, err
}

// headLimit bounds the question for the head. headAge is the largest age of the head of a synchronised node.
const (
	headLimit = 5 * time.Second
	headAge   = time.Minute
)

var errNoHead = errors.New("no node is configured: the chain's head is not known")

// askHead asks the node for its head. A node that is not in step is an error.
func askHead(ctx context.Context, cfg *config.Config) (int32, error) {
	if cfg.Node == "" {
		return 0, errNoHead
	}
	client, err := node.New(node.Config{URL: cfg.Node, Timeout: headLimit})
	if err != nil {
		return 0, err
	}
	defer client.Close()
	h, err := client.Check(ctx, cfg.ChainID, time.Now(), headAge)
	return h.Head.Level, err
}

// LevelFlag checks a level given on the command line.
func LevelFlag(name string, level int64) (int32, error) {
	if level < 0 || level > hwm.MaxRound {
		return 0, terminal.Usagef("--%s %d: the value lies between 0 and %d", name, level, hwm.MaxRound)
	}
	return int32(level), nil
}

// FarFlag is the operator's word for a level.
func FarFlag(c *cobra.Command, far *bool) {
	c.Flags().BoolVar(far, "far", false,
		fmt.Sprintf("the level is right, although more than %d levels from the highest known level", hwm.FarLevels))
}

// ConfirmFar shows the distance when try refuses a level as too far, and the operator types word. With --yes, or
// without a terminal, the operator must give --far. ConfirmFar returns whether the level may be far. Other errors of
// try come back unchanged.
func (a *App) ConfirmFar(far, yes bool, word string, try func(far bool) error) (bool, error) {
	if !a.Interactive || yes && far {
		return far, try(far)
	}
	err := try(false)
	if !IsFar(err) {
		return far, err
	}
	if err = a.Typed(err.Error(), word); err != nil {
		return false, err
	}
	return true, try(true)
}

// IsFar recognises the refusal of a far level, from this process or from the daemon.
func IsFar(err error) bool { return operate.ReasonOf(err) == string(hwm.TooFar) }
