package marks

import "highwater/cmd/cli"

// app is the state shared by the marks commands.
type app struct{ *cli.App }
