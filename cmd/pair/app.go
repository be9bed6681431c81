package pair

import "highwater/cmd/cli"

// app is the state shared by the pair commands.
type app struct{ *cli.App }
