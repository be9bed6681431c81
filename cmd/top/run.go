// Package top is the status page on a terminal: one screen, live.
package top

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"highwater/api"
	"highwater/cmd/cli"
	"highwater/internal/hints"
	"highwater/operate/glance"
	"highwater/store/disk"
)

const long = `Show the status page on a terminal, live: the state, alarms and warnings with their next step first, the
coming rights and whether a restart costs one, and for each key the marks, the last levels and the times.

The screen reads the running daemon each second, and changes nothing. When the daemon ends, the screen
says since when the connection is lost, and tries on. The squares of the last levels, the newest at the right:

` + legend + `

For scripts, and without a terminal: highwater status --json`

// legend explains the squares and the keyboard.
const legend = `  ■  signed              r  replayed       x  refused
  C  conflict            F  failed         –  not the signer
  M  missed on chain     ·  no request

  up, down               the previous or next key
  page up, page down     a screen of keys
  ?                      the meaning of the squares
  q, Ctrl-C              leave`

// Command is highwater top.
func Command(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "top", Short: "Watch the whole state live, on one screen", Args: cli.NoArgs, Long: long,
		Example: "  highwater top",
		RunE: func(c *cobra.Command, _ []string) error {
			if !onTerminal(c.InOrStdin()) || !onTerminal(c.OutOrStdout()) || os.Getenv("TERM") == "dumb" {
				return hints.Add(errors.New("highwater top needs a terminal"), "use: highwater status")
			}
			cfg, err := a.Config()
			if err != nil {
				return err
			}
			client, err := api.Dial(c.Context(), cfg.Admin.Socket)
			if errors.Is(err, api.ErrNoDaemon) {
				return hints.Add(fmt.Errorf("no daemon listens at %s", cfg.Admin.Socket),
					"start the daemon (systemctl start highwater); without a daemon: highwater status")
			}
			if err != nil {
				return hints.Add(fmt.Errorf("the daemon's socket: %w", err), disk.AccessHint(err))
			}
			look := func(ctx context.Context) (glance.View, error) { return glance.Read(ctx, client, 0) }
			return run(c.Context(), newModel(c.Context(), look), c.InOrStdin(), c.OutOrStdout())
		},
	}
}

func onTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// run shows the screen until a key or the end of ctx ends the screen. The terminal is restored, after a panic too.
//
// Every end is bubbletea's Quit: only there bubbletea (v2.1.1) waits for its reader of the keyboard before it closes the
// reader's files.
func run(ctx context.Context, m tea.Model, in io.Reader, out io.Writer) error {
	var fault error
	p := tea.NewProgram(guarded{m, m.View(), &fault}, tea.WithInput(in), tea.WithOutput(out), tea.WithoutSignalHandler())
	stop := context.AfterFunc(ctx, p.Quit)
	defer stop()
	_, err := p.Run()
	return errors.Join(err, fault)
}

// guarded is a model whose panic ends the screen in order.
type guarded struct {
	tea.Model
	view  tea.View
	fault *error // of the panic
}

// Update makes the view, too: a panic of either is caught here.
func (g guarded) Update(msg tea.Msg) (next tea.Model, cmd tea.Cmd) {
	defer func() {
		if r := recover(); r != nil {
			*g.fault = fmt.Errorf("%w: %v\n%s", tea.ErrProgramPanic, r, debug.Stack())
			next, cmd = g, tea.Quit
		}
	}()
	m, cmd := g.Model.Update(msg)
	return guarded{m, m.View(), g.fault}, cmd
}

// View is the view of the last message.
func (g guarded) View() tea.View { return g.view }
