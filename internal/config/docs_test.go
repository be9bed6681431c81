package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDocsNameEverySetting: each setting has a row in the table of its section, and each row is a setting.
func TestDocsNameEverySetting(t *testing.T) {
	text, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err)
	heading := regexp.MustCompile("^#+ .*?(?:`\\[+([a-z.]+)\\]+`)?(?::.*)?$")
	name := regexp.MustCompile("`([a-z_]+)`")
	table, documented := "", []string{}
	for _, line := range strings.Split(string(text), "\n") {
		if m := heading.FindStringSubmatch(line); m != nil {
			table = m[1]
			if table != "" {
				table += "."
			}
		}
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		require.Len(t, cells, 3, "%s: a setting has a meaning, and a default or bounds", line)
		for _, m := range name.FindAllStringSubmatch(cells[0], -1) {
			documented = append(documented, table+m[1])
		}
	}
	actual := settings(reflect.TypeFor[Config](), "")
	slices.Sort(actual)
	slices.Sort(documented)
	require.Equal(t, actual, documented)
}

// settings lists the toml names of a configuration, with the tables they are in.
func settings(of reflect.Type, table string) (names []string) {
	for i := range of.NumField() {
		field := of.Field(i)
		tag := field.Tag.Get("toml")
		if tag == "" || tag == "-" {
			continue
		}
		inner := field.Type
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			names = append(names, settings(inner, table+tag+".")...)
			continue
		}
		names = append(names, table+tag)
	}
	return names
}
