package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const sharedMinimal = "node = \"http://127.0.0.1:8732\"\n" + minimal + "[register]\n"

func TestRegisterDefaults(t *testing.T) {
	c, err := Parse(minimal)
	require.NoError(t, err)
	require.False(t, c.Shared())
	c, err = Parse(sharedMinimal + `endpoints = ["https://10.0.0.1:2379", "http://127.0.0.1:2379"]`)
	require.NoError(t, err)
	require.True(t, c.Shared())
	require.Equal(t, Register{
		Endpoints: []string{"https://10.0.0.1:2379", "http://127.0.0.1:2379"}, Name: "bakery", Ahead: 3, Automatic: true,
		Patience: 2,
	}, c.Register)
	require.Equal(t, "/highwater/NetXnHfVqm9iesp/bakery", c.RegisterKey())
}

func TestRegisterFaults(t *testing.T) {
	const good = `endpoints = ["https://10.0.0.1:2379"]` + "\n"
	for text, want := range map[string]string{
		sharedMinimal: "register.endpoints",
		sharedMinimal + `endpoints = ["10.0.0.1:2379"]`:                                                  "no address such as",
		sharedMinimal + `endpoints = ["http://10.0.0.1:2379"]`:                                           "without TLS on this machine only",
		sharedMinimal + `endpoints = ["https://10.0.0.1:2379/?a=1"]`:                                     "no address such as",
		sharedMinimal + `endpoints = ["https://10.0.0.1:1", "https://10.0.0.2:1", "https://10.0.0.1:1"]`: "is named twice",
		sharedMinimal + good + `cert = "c"`:                                                              "go together",
		sharedMinimal + good + `name = "A/b"`:                                                            "register.name",
		sharedMinimal + good + `ahead = 0`:                                                               "register.ahead",
		sharedMinimal + good + `patience = -1`:                                                           "register.patience",
		sharedMinimal + good + `priority = 5000`:                                                         "register.priority",
		minimal + "[register]\n" + good:                                                                  "it needs `node`",
		sharedMinimal + good + "[peer]\nlisten = \":6734\"":                                              "two givers would make two signers",
	} {
		_, err := Parse(text)
		require.ErrorContains(t, err, want, text)
	}
}
