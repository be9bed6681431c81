package etcd

import (
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"highwater/register"
)

// memberError is the fault of a member.
type memberError struct {
	endpoint string
	err      error
}

func (e memberError) Error() string { return e.endpoint + ": " + e.err.Error() }

func (e memberError) Unwrap() error { return e.err }

// membersError holds the fault of each asked member, in a line. Members with the same fault share a sentence.
type membersError []memberError

func (e membersError) Error() string {
	var texts []string
	named := map[string][]string{}
	for _, m := range e {
		text := m.err.Error()
		if named[text] == nil {
			texts = append(texts, text)
		}
		named[text] = append(named[text], m.endpoint)
	}
	for i, text := range texts {
		texts[i] = strings.Join(named[text], ", ") + ": " + text
	}
	return strings.Join(texts, "; ")
}

func (e membersError) Unwrap() []error {
	out := make([]error, len(e))
	for i, m := range e {
		out[i] = m
	}
	return out
}

// Errors of members that refuse.
var (
	ErrForbidden error = rpctypes.ErrPermissionDenied
	ErrFull      error = rpctypes.ErrNoSpace
)

// Forbidden tells whether etcd's permissions are the reason of an error.
func Forbidden(err error) bool {
	return errors.Is(err, ErrForbidden) || errors.Is(err, rpctypes.ErrUserEmpty)
}

// Full tells whether etcd's quota is the reason of an error.
func Full(err error) bool { return errors.Is(err, ErrFull) }

// refused puts the remedy beside a member's refusal.
func (r *Register) refused(err error) error {
	switch {
	case Forbidden(err):
		return fmt.Errorf("%w: the certificate's user may not read and write %s (see: highwater check): %w",
			register.ErrRefused, r.key, err)
	case Full(err):
		return fmt.Errorf("%w: etcd is full (compact, defragment, etcdctl alarm disarm): %w", register.ErrRefused, err)
	}
	return err
}
