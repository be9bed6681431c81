package cmd

import (
	"reflect"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/spf13/cobra"
)

// didYouMean is what to add to the message about a name that is none: the one that was meant, if it can be told.
func didYouMean(word string, names []string) string {
	best, least := "", 1+max(1, len(word)/3) // a third of the letters may be wrong
	for _, name := range names {
		if d := distance(word, name); d < least {
			best, least = name, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance is how many letters were typed wrong, left out, or put in, or swapped with the one beside them.
func distance(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
		for j := range d[i] {
			if i == 0 || j == 0 {
				d[i][j] = i + j
				continue
			}
			wrong := 1
			if a[i-1] == b[j-1] {
				wrong = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+wrong)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}

// commandNames are the commands right below one, those that its help shows.
func commandNames(c *cobra.Command) []string {
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return names
}

// settingNames are the settings that stand beside a key of the configuration; none, when it stands in a table that there is not.
func settingNames(key toml.Key) []string {
	table := reflect.TypeFor[config]()
	for _, name := range key[:len(key)-1] {
		field, found := settingField(table, name)
		if !found {
			return nil
		}
		table = field.Type
		for table.Kind() == reflect.Slice || table.Kind() == reflect.Pointer {
			table = table.Elem()
		}
		if table.Kind() != reflect.Struct {
			return nil
		}
	}
	var names []string
	for i := range table.NumField() {
		if name := table.Field(i).Tag.Get("toml"); name != "" {
			names = append(names, name)
		}
	}
	return names
}

func settingField(table reflect.Type, name string) (reflect.StructField, bool) {
	return table.FieldByNameFunc(func(field string) bool {
		f, _ := table.FieldByName(field)
		return strings.EqualFold(f.Tag.Get("toml"), name)
	})
}
