// Package cmd is the command line: subcommands, configuration, output. It wires the concrete types; nothing else does.
package cmd

import (
	"context"
	"errors"
	"io"
	"os/signal"
	"strings"
	"syscall"

	"highwater/internal/config"
	"highwater/internal/hints"
	"highwater/internal/terminal"
	"highwater/internal/words"
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

// app is what every subcommand shares.
type app struct {
	*terminal.Terminal
	configFlag string
	jsonFlag   bool
	version    string
	flush      func() // writes what is still to be said; it does not wait for long
}

// Main runs the command line and gives its exit status.
func Main(args []string, in io.Reader, out, errw io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	a := &app{Terminal: terminal.New(in, out, errw), version: version, flush: func() {}}
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
	case errors.Is(err, errSaid):
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
		return exitFail
	}
}

// errSaid ends a command with status 1 when all is said already.
var errSaid = errors.New("said")

const rootLong = `Highwater stands between a Tezos baker and the USB devices that hold its keys, and remembers on disk the highest
level and round that each key ever signed. It never signs at or below it.

Start with a look around, without hardware:      highwater demo
Then, with a Ledger or a TezSign connected:      highwater init; it says what comes next`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "highwater", Short: "A Tezos remote signer that never signs twice", Long: rootLong,
		Example:       "  highwater demo --levels 5",
		SilenceErrors: true, SilenceUsage: true, DisableFlagsInUseLine: true,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return terminal.Usagef("there is no command %q%s", args[0], words.DidYouMean(args[0], commandNames(c)))
			}
			return c.Help()
		},
		Args: cobra.ArbitraryArgs,
	}
	root.PersistentFlags().StringVar(&a.configFlag, "config", "", "configuration `FILE` (else $"+config.Env+", else "+config.DefaultPath+")")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return flagError(err) })
	root.SetHelpTemplate(helpTemplate)
	root.SetUsageTemplate(helpTemplate)
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(helpCmd(root))
	root.AddCommand(
		a.demoCmd(), a.initCmd(), a.serveCmd(), a.statusCmd(), a.checkCmd(), a.keysCmd(), a.hwmCmd(),
		a.ledgerCmd(), a.tezsignCmd(), a.activateCmd(), a.standbyCmd(), a.acknowledgeCmd(), a.peerCmd(), a.waitWindowCmd(), a.handoverCmd(),
		a.releaseCmd(), a.acceptCmd(), a.takeoverCmd(), a.bringUpCmd(), a.drillCmd(), a.bundleCmd(), a.versionCmd(), a.manCmd(),
		a.completionCmd(), a.simCmd(),
	)
	groupHelp(root)
	if a.Width > 0 {
		fitHelp(root, a.Width)
	}
	return root
}

// helpTemplate puts the example last: it is what most people look for.
const helpTemplate = `{{with (or .Long .Short)}}{{. | trimTrailingWhitespaces}}

{{end}}Usage:
{{if .Runnable}}  {{.UseLine}}
{{end}}{{if .HasAvailableSubCommands}}  {{.CommandPath}} COMMAND
{{if .Groups}}{{range $group := .Groups}}
{{$group.Title}}:{{range $.Commands}}{{if and (eq .GroupID $group.ID) .IsAvailableCommand}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}
{{end}}{{else}}
Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}
{{end}}{{end}}{{if .HasAvailableLocalFlags}}
Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}
{{end}}{{if .HasAvailableInheritedFlags}}
Everywhere:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}
{{end}}{{if .HasExample}}
Example:
{{.Example}}
{{end}}`

// noArgs refuses arguments, as a mistake of usage.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return terminal.Usagef("%s takes no arguments, not %q", c.CommandPath(), args[0])
	}
	return nil
}

// flagError says what is wrong with a flag, without the words of the parser of its value.
func flagError(err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		if strings.HasSuffix(err.Error(), " --version") {
			return hints.Add(terminal.Misuse(err), "see: highwater version")
		}
		return terminal.Misuse(err)
	}
	what := map[string]string{
		"int": "a whole number", "int32": "a whole number up to 2147483647", "int64": "a whole number", "bool": "true or false",
		"LEVEL":    "a whole number, or head+N with a node",
		"duration": "a time such as 90s or 5m",
	}[invalid.GetFlag().Value.Type()]
	if what == "" {
		return terminal.Misuse(err)
	}
	return terminal.Usagef("--%s %q: it takes %s", invalid.GetFlag().Name, invalid.GetValue(), what)
}

// wants refuses a command that lacks flags without which it means nothing.
func wants(c *cobra.Command, names ...string) error {
	missing := false
	said := make([]string, 0, len(names))
	for _, name := range names {
		f := c.Flags().Lookup(name)
		missing = missing || !f.Changed || strings.TrimSpace(f.Value.String()) == ""
		placeholder, _ := pflag.UnquoteUsage(f)
		said = append(said, "--"+name+" "+placeholder)
	}
	if !missing {
		return nil
	}
	last := len(said) - 1
	text := said[last]
	if last > 0 {
		text = strings.Join(said[:last], ", ") + " and " + text
	}
	return terminal.Usagef("%s wants %s", c.CommandPath(), text)
}

// aside is the same app with results on standard error: for what is shown only so that a question can be answered.
func (a *app) aside() *app {
	t := *a.Terminal
	t.Out = t.Err
	return &app{Terminal: &t}
}

// addJSON gives a command that reads its --json.
func (a *app) addJSON(c *cobra.Command) *cobra.Command {
	c.Flags().BoolVar(&a.jsonFlag, "json", false, "print JSON, for programs")
	return c
}

// group is a command that only holds others.
func group(use, short, long, example string, subs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Long: long, Example: example, Args: cobra.ArbitraryArgs, DisableFlagsInUseLine: true,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return terminal.Usagef("%s has no command %q%s", c.CommandPath(), args[0], words.DidYouMean(args[0], commandNames(c)))
			}
			return c.Help()
		},
	}
	c.AddCommand(subs...)
	return c
}

// helpCmd is cobra's, but that an unknown command is a mistake of usage.
func helpCmd(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Show the help of a command", Args: cobra.ArbitraryArgs, DisableFlagsInUseLine: true,
		Long: "Show the help of a command, as --help does.", Example: "  highwater help hwm set",
		RunE: func(_ *cobra.Command, args []string) error {
			c, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return hints.Add(terminal.Usagef("there is no command %q", strings.Join(args, " ")), "see: highwater --help")
			}
			c.InitDefaultHelpFlag()
			return c.Help()
		},
	}
}

func (a *app) versionCmd() *cobra.Command {
	return a.addJSON(&cobra.Command{
		Use: "version", Short: "Show the version, and what this build can do", Args: noArgs,
		Example: "  highwater version --json",
		RunE: func(*cobra.Command, []string) error {
			v := buildInfo(a.version)
			if a.jsonFlag {
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

func (a *app) config() (*config.Config, error) { return config.Load(config.PathOf(a.configFlag)) }

// commandNames are the commands right below one, those that its help shows.
func commandNames(c *cobra.Command) []string {
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return names
}
