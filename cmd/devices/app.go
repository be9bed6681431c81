package devices

import "highwater/cmd/cli"

// app is the state shared by the device commands.
type app struct{ *cli.App }
