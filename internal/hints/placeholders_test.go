package hints_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// placeholder is a word that stands for a value in a command, as help texts have: --level LEVEL, <key>, …
var placeholder = regexp.MustCompile(`\b(LEVEL|HEAD|KEY|KEYS|FILE|NAME|ALIAS|PKH)\b` +
	`|\b(ADDRESS|DIR|DIRECTORY|PATH|CURVE|REASON|TEXT|ID|DEVICE)\b` +
	`|--[a-z-]+ [A-Z]{2}|<[a-z][a-z -]*>|highwater [a-z -]*…`)

// shapes are the texts that name the shape of a value, and advise no command with the shape.
var shapes = []string{"use HOST:PORT or unix:/PATH", "tcp://HOST:PORT", "PRIVATE KEY"}

// defined are the files where a placeholder of help is defined, heads of a table, and the address of a proxy that only
// the operator knows.
var defined = []string{
	"cmd/cli/level.go", "cmd/root.go", "cmd/fithelp.go", "internal/demo/demo.go", "internal/demo/three.go",
	"internal/config/config.go",
}

// skipped are the directories without texts for operators.
var skipped = []string{"test", "testdata", "bin", "findings", ".git", ".github", ".cache"}

// TestPlaceholders: a tired operator pastes what an advice says. So no text of the program has a placeholder in a
// command, except help (Use, Long, Example, the usage of a flag), whose placeholders are defined there.
func TestPlaceholders(t *testing.T) {
	files := 0
	require.NoError(t, filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains(skipped, d.Name()) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		if files++; slices.Contains(defined, strings.TrimPrefix(filepath.ToSlash(path), "../../")) {
			return nil
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool { return look(t, set, n) })
		return nil
	}))
	require.Greater(t, files, 300, "the sources of this module")
}

// look reports a literal with a placeholder; false: what is below is help.
func look(t *testing.T, set *token.FileSet, n ast.Node) bool {
	switch n := n.(type) {
	case *ast.ImportSpec:
		return false
	case *ast.Field:
		return n.Tag == nil
	case *ast.KeyValueExpr:
		key, _ := n.Key.(*ast.Ident)
		return key == nil || key.Name != "Use" && key.Name != "Long" && key.Name != "Short" && key.Name != "Example"
	case *ast.ValueSpec:
		return !strings.HasSuffix(n.Names[0].Name, "Long")
	case *ast.CallExpr:
		return !definesFlag(n)
	case *ast.BasicLit:
		if n.Kind != token.STRING {
			return true
		}
		text, err := strconv.Unquote(n.Value)
		require.NoError(t, err)
		for _, shape := range shapes {
			text = strings.ReplaceAll(text, shape, "")
		}
		if found := placeholder.FindString(text); found != "" {
			t.Errorf("%s: %q: an operator cannot paste %s (hints.Level completes a command with a level)",
				set.Position(n.Pos()), text, found)
		}
	}
	return true
}

// definesFlag recognises c.Flags().Var(…) and its siblings: the usage of a flag quotes its placeholder.
func definesFlag(call *ast.CallExpr) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	of, ok := sel.X.(*ast.CallExpr)
	if !ok {
		return false
	}
	flags, ok := of.Fun.(*ast.SelectorExpr)
	return ok && (flags.Sel.Name == "Flags" || flags.Sel.Name == "PersistentFlags")
}
