package cmd

import (
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"highwater/internal/terminal"
	"highwater/internal/tezos"
	"highwater/internal/usb"
)

// build describes this build.
type build struct {
	Version string   `json:"version"`
	Go      string   `json:"go"`
	OS      string   `json:"os"`
	Arch    string   `json:"arch"`
	Lacks   []string `json:"lacks"` // features missing from this build
}

func buildInfo(version string) build {
	b := build{Version: version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, Lacks: []string{}}
	if !tezos.HasBLS {
		b.Lacks = append(b.Lacks, "tz4 keys (built without cgo)")
	}
	if !usb.Available {
		b.Lacks = append(b.Lacks, "USB devices (built without cgo); tcp:// works")
	}
	return b
}

// manCmd writes the man pages, for packages.
func (a *app) manCmd() *cobra.Command {
	return &cobra.Command{
		Use: "man DIRECTORY", Short: "Write the man pages to a directory", Hidden: true,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return terminal.Usagef("%s wants one directory", c.CommandPath())
			}
			return nil
		},
		Example: "  highwater man /usr/local/share/man/man1",
		RunE: func(c *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil { //nolint:gosec // man pages are for everybody
				return err
			}
			root := c.Root()
			root.DisableAutoGenTag = true
			return doc.GenManTree(root, &doc.GenManHeader{Title: "HIGHWATER", Section: "1", Source: "Highwater"},
				filepath.Clean(args[0]))
		},
	}
}
