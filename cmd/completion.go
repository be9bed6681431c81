package cmd

import (
	"io"

	"highwater/cmd/cli"

	"github.com/spf13/cobra"
)

const completionLong = `Write a script by which a shell completes commands and flags. Once, as root:
  bash   highwater completion bash > /etc/bash_completion.d/highwater
  zsh    highwater completion zsh > /usr/share/zsh/site-functions/_highwater
  fish   highwater completion fish > /usr/share/fish/vendor_completions.d/highwater.fish`

func (a *app) completionCmd() *cobra.Command {
	shell := func(name, example string, write func(root *cobra.Command, w io.Writer) error) *cobra.Command {
		return &cobra.Command{
			Use: name, Short: "Write the completion for " + name, Long: completionLong, Args: cli.NoArgs,
			Example: "  highwater completion " + example,
			RunE:    func(c *cobra.Command, _ []string) error { return write(c.Root(), a.Out) },
		}
	}
	return cli.Group("completion", "Write the completion for a shell", completionLong,
		"  highwater completion bash > /etc/bash_completion.d/highwater",
		shell("bash", "bash > /etc/bash_completion.d/highwater", func(root *cobra.Command, w io.Writer) error {
			return root.GenBashCompletionV2(w, true)
		}),
		shell("zsh", "zsh > /usr/share/zsh/site-functions/_highwater", func(root *cobra.Command, w io.Writer) error {
			return root.GenZshCompletion(w)
		}),
		shell("fish", "fish > /usr/share/fish/vendor_completions.d/highwater.fish",
			func(root *cobra.Command, w io.Writer) error {
				return root.GenFishCompletion(w, true)
			}))
}
