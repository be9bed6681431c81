// Package cmd is the command line: subcommands, configuration, output. It wires the concrete types; nothing else does.
package cmd

import (
	"context"
	"errors"
	"io"
	"os/signal"
	"strings"
	"syscall"

	"highwater/cmd/auditlog"
	"highwater/cmd/cli"
	"highwater/cmd/devices"
	"highwater/cmd/marks"
	"highwater/cmd/pair"
	"highwater/cmd/top"
	"highwater/internal/config"
	"highwater/internal/hints"
	"highwater/internal/terminal"
	"highwater/internal/words"
	"highwater/operate"
	"highwater/store"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// version is set by the linker.
var version = "unknown"

// Exit statuses.
const (
	exitDone  = 0
	exitFail  = 1 // refused, or failed
	exitUsage = 2
	exitDisk  = 3 // of serve: the disk of the state directory fails
)

// Main runs the command line and returns the exit status.
func Main(args []string, in io.Reader, out, errw io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	a := &app{App: &cli.App{Terminal: terminal.New(in, out, errw), Version: version}, flush: func() {}}
	defer func() { a.flush() }()
	a.Interrupted = ctx.Done()
	root := a.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errw)
	command, err := root.ExecuteContextC(ctx)
	var usage terminal.UsageError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, cli.ErrSaid):
		return exitFail
	case errors.As(err, &usage):
		if hints.Of(err) == "" {
			err = hints.Add(err, "see: "+command.CommandPath()+" --help")
		}
		a.Fail(err)
		return exitUsage
	case command.Name() == "serve" && store.Fails(err):
		a.Fail(err)
		return exitDisk
	default:
		a.Fail(err)
		a.failJSON(err)
		return exitFail
	}
}

// failure is a failed command, for programs.
type failure struct {
	Error  string `json:"error"`
	Hint   string `json:"hint,omitempty"`
	Reason string `json:"reason"` // docs/monitoring.md
}

// failJSON writes the failure of a command with --json to the results, unless the command has written a result.
func (a *app) failJSON(err error) {
	if a.AsJSON && !a.WroteJSON() {
		_ = a.JSON(failure{err.Error(), hints.Of(err), operate.ReasonOf(err)}) // the status says that the command failed
	}
}

const rootLong = `Highwater stands between a Tezos baker and the USB devices with the baker's keys, and remembers on
disk the highest level and round that each key ever signed. Highwater never signs at or below the remembered
place.

  Start with a look around, without hardware:   highwater demo
  Next, with a Ledger or a TezSign connected:   highwater init, and follow its last lines`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "highwater", Short: "A Tezos remote signer that never signs twice", Long: rootLong,
		Example:       "  highwater demo --levels 5",
		SilenceErrors: true, SilenceUsage: true, DisableFlagsInUseLine: true,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return terminal.Usagef("no command %q%s", args[0], words.DidYouMean(args[0], cli.CommandNames(c)))
			}
			return c.Help()
		},
		Args: cobra.ArbitraryArgs,
	}
	root.PersistentFlags().StringVar(
		&a.ConfigFlag, "config", "", "configuration `FILE` (else $"+config.Env+", else "+config.DefaultPath+")")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return flagError(err) })
	root.SetHelpTemplate(helpTemplate)
	root.SetUsageTemplate(helpTemplate)
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(helpCmd(root))
	root.AddCommand(
		a.demoCmd(), a.initCmd(), a.serveCmd(), a.statusCmd(), a.checkCmd(), a.keysCmd(), a.activateCmd(), a.standbyCmd(),
		a.acknowledgeCmd(),
		top.Command(a.App), a.versionCmd(), a.manCmd(), a.completionCmd(), a.simCmd(),
	)
	root.AddCommand(marks.Commands(a.App)...)
	root.AddCommand(auditlog.Commands(a.App)...)
	root.AddCommand(devices.Commands(a.App)...)
	root.AddCommand(pair.Commands(a.App)...)
	groupHelp(root)
	if a.Width > 0 {
		fitHelp(root, a.Width)
	}
	return root
}

// flagError explains a wrong flag without the words of the value's parser.
func flagError(err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		if strings.HasSuffix(err.Error(), " --version") {
			return hints.Add(terminal.Misuse(err), "see: highwater version")
		}
		return terminal.Misuse(err)
	}
	what := map[string]string{
		"int": "a whole number", "int32": "a whole number up to 2147483647", "int64": "a whole number",
		"bool":     "true or false",
		"LEVEL":    "a whole number, or head+N with a node",
		"duration": "a time like 90s or 5m",
	}[invalid.GetFlag().Value.Type()]
	if what == "" {
		return terminal.Misuse(err)
	}
	return terminal.Usagef("--%s %q: expected %s", invalid.GetFlag().Name, invalid.GetValue(), what)
}

// helpCmd is cobra's help command, except that an unknown command is a usage error.
func helpCmd(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Show the help of a command", Args: cobra.ArbitraryArgs, DisableFlagsInUseLine: true,
		Long: "Show the help of a command, as --help does.", Example: "  highwater help hwm set",
		RunE: func(_ *cobra.Command, args []string) error {
			c, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return hints.Add(terminal.Usagef("no command %q", strings.Join(args, " ")), "see: highwater --help")
			}
			c.InitDefaultHelpFlag()
			return c.Help()
		},
	}
}

func (a *app) versionCmd() *cobra.Command {
	return a.AddJSON(&cobra.Command{
		Use: "version", Short: "Show the version, and the abilities of this build", Args: cli.NoArgs,
		Example: "  highwater version --json",
		RunE: func(*cobra.Command, []string) error {
			v := buildInfo(a.Version)
			if a.AsJSON {
				return a.JSON(v)
			}
			a.Say("highwater %s (%s)", v.Version, v.Go)
			for _, f := range v.Lacks {
				a.Say("lacks: %s", f)
			}
			return nil
		},
	})
}
