package devices

import "highwater/cmd/cli"

// app is what these commands share.
type app struct{ *cli.App }
