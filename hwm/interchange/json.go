package interchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxDepth bounds the nesting; the deepest format has four levels.
const maxDepth = 8

// object is a JSON object with its members in order; names are distinct, and compared exactly. (encoding/json takes the
// last of two equal names, and ignores case.)
type object struct {
	names  []string
	values map[string]any
}

func (o *object) has(name string) bool {
	_, ok := o.values[name]
	return ok
}

// readJSON reads a single JSON value, with nothing after the value: an *object, a []any, a string, a json.Number, a
// bool or nil. where is the place of an error in the document.
func readJSON(data []byte) (doc any, where string, err error) {
	if !json.Valid(data) {
		var v any
		return nil, "", fmt.Errorf("%w: %w", ErrContent, json.Unmarshal(data, &v))
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	r := reader{d: d}
	doc, err = r.value()
	if err == nil {
		if _, end := d.Token(); !errors.Is(end, io.EOF) {
			err = fmt.Errorf("%w: something follows the JSON value", ErrContent)
		}
	}
	if err != nil {
		return nil, strings.Join(r.path, "/"), err
	}
	return doc, "", nil
}

// reader walks through the tokens; path is the reader's place.
type reader struct {
	d    *json.Decoder
	path []string
}

func (r *reader) value() (any, error) {
	if len(r.path) > maxDepth {
		return nil, fmt.Errorf("%w: nested deeper than %d", ErrContent, maxDepth)
	}
	token, err := r.d.Token()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrContent, err)
	}
	switch token {
	case json.Delim('{'):
		return r.object()
	case json.Delim('['):
		return r.list()
	default:
		return token, nil
	}
}

func (r *reader) object() (any, error) {
	o := &object{values: make(map[string]any)}
	for r.d.More() {
		token, err := r.d.Token()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrContent, err)
		}
		name, ok := token.(string)
		if !ok {
			return nil, fmt.Errorf("%w: %v is no name of a member", ErrContent, token)
		}
		if o.has(name) {
			return nil, fmt.Errorf("%w: %s is named twice", ErrContent, short(name))
		}
		r.path = append(r.path, shortBare(name))
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		r.path = r.path[:len(r.path)-1]
		o.names = append(o.names, name)
		o.values[name] = v
	}
	return o, r.end()
}

func (r *reader) list() (any, error) {
	list := []any{}
	for r.d.More() {
		r.path = append(r.path, strconv.Itoa(len(list)+1))
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		r.path = r.path[:len(r.path)-1]
		list = append(list, v)
	}
	return list, r.end()
}

// end takes the closing bracket.
func (r *reader) end() error {
	if _, err := r.d.Token(); err != nil {
		return fmt.Errorf("%w: %w", ErrContent, err)
	}
	return nil
}

// natural reads a whole number from 0 to 2³¹-1, in digits alone.
func (p *parser) natural(where string, o *object, name string) (int32, error) {
	v, ok := o.values[name]
	if !ok {
		return 0, p.fail(where, "%s is missing, and absent is not zero", name)
	}
	n, ok := v.(json.Number)
	if text, quoted := v.(string); quoted && text != "" && strings.Trim(text, "0123456789") == "" {
		return 0, p.fail(where, "%s is in quotes: %s. No Tezos signer quotes its numbers (tmkms and CometBFT do): "+
			"the file was edited, or is of another program", name, short(text))
	}
	if !ok {
		return 0, p.fail(where, "%s is %s, not a number", name, describe(v))
	}
	text := n.String()
	if strings.HasPrefix(text, "-") {
		return 0, p.fail(where, "%s is negative: %s", name, shortBare(text))
	}
	if strings.Trim(text, "0123456789") != "" {
		return 0, p.fail(where, "%s is not a whole number: %s", name, shortBare(text))
	}
	i, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, p.fail(where, "%s is above 2147483647: %s", name, shortBare(text))
	}
	return int32(i), nil
}

// text reads a string.
func (p *parser) text(where string, o *object, name string) (string, error) {
	v, ok := o.values[name]
	if !ok {
		return "", p.fail(where, "%s is missing", name)
	}
	s, ok := v.(string)
	if !ok {
		return "", p.fail(where, "%s is %s, not a string", name, describe(v))
	}
	return s, nil
}

// only refuses members of unlisted names.
func (p *parser) only(where string, o *object, names ...string) error {
	known := strings.Join(names, ", ")
	for _, name := range o.names {
		found := false
		for _, n := range names {
			found = found || n == name
		}
		if !found {
			return p.fail(where, "unknown member %s; known are %s", short(name), known)
		}
	}
	return nil
}

// describe names the type of a JSON value.
func describe(v any) string {
	switch v.(type) {
	case *object:
		return "an object"
	case []any:
		return "a list"
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case bool:
		return "a boolean"
	default:
		return "null"
	}
}

// short quotes a text of the file for an error of one line.
func short(text string) string { return strconv.Quote(cut(text)) }

// shortBare is short without the quotes.
func shortBare(text string) string {
	q := short(text)
	return q[1 : len(q)-1]
}

func cut(text string) string {
	const longest = 48
	if len(text) > longest {
		return text[:longest] + "…"
	}
	return text
}
