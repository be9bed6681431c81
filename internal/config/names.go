package config

import (
	"reflect"
	"strings"

	"github.com/BurntSushi/toml"
)

// settingNames are the settings beside a key of the configuration; none, when the key stands in an unknown table.
func settingNames(key toml.Key) []string {
	table := reflect.TypeFor[Config]()
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
		if name := table.Field(i).Tag.Get("toml"); name != "" && name != "-" {
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
