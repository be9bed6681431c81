// Package cli is shared by all commands: access to the instance, flags and arguments, and common tables.
package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"highwater/internal/config"
	"highwater/internal/terminal"
)

// App is the state shared by every command.
type App struct {
	*terminal.Terminal
	ConfigFlag string // --config
	AsJSON     bool   // --json
	Version    string
}

// ErrSaid ends a command with status 1 when all is said already.
var ErrSaid = errors.New("said")

// Config reads the configuration.
func (a *App) Config() (*config.Config, error) { return config.Load(config.PathOf(a.ConfigFlag)) }

// Aside is the same app with results on standard error, for tables that belong to a question.
func (a *App) Aside() *App {
	t := *a.Terminal
	t.Out = t.Err
	return &App{Terminal: &t}
}

// AddJSON gives a command the flag --json.
func (a *App) AddJSON(c *cobra.Command) *cobra.Command {
	c.Flags().BoolVar(&a.AsJSON, "json", false, "print JSON, for programs")
	return c
}
