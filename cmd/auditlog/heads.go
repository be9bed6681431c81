package auditlog

import (
	"fmt"
	"strings"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/hwm/bundle"
	"highwater/internal/audit"
	"highwater/internal/durable"
	"highwater/internal/hints"
	"highwater/internal/loghead"
	"highwater/internal/terminal"
)

// known is a head with its source.
type known struct {
	loghead.Head
	file string          // empty: given by itself
	of   *hwm.InstanceID // the signer of the file; nil without a file
}

// readHeads reads the heads of the flag: RECORD:LINK, or a signed file.
func readHeads(texts []string) (out []known, err error) {
	for _, text := range texts {
		h, notHead := loghead.Parse(text)
		if notHead == nil {
			out = append(out, known{Head: h})
			continue
		}
		if digits, _, _ := strings.Cut(text, ":"); digits != "" && strings.Trim(digits, "0123456789") == "" {
			return nil, terminal.Usagef("--head %q: expected RECORD:LINK, a number and 64 hex digits, or a file", text)
		}
		k, err := headOf(text)
		if err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	return out, nil
}

// headOf reads the head of a bundle or certificate, and verifies the signature of the document.
func headOf(path string) (known, error) {
	data, err := durable.Read(path, bundle.MaxSize, "a bundle or a certificate")
	if err != nil {
		return known{}, err
	}
	var head *loghead.Head
	var of hwm.InstanceID
	if bundle.Is(data) {
		b, err := bundle.Parse(data)
		if err == nil {
			err = b.Verify()
		}
		if err != nil {
			return known{}, fmt.Errorf("%s: %w", path, err)
		}
		head, of = b.AuditHead, b.Instance
	} else {
		c, err := wire.ParseCertificate(data)
		if err == nil {
			err = c.Verify()
		}
		if err != nil {
			return known{}, hints.Add(fmt.Errorf("%s is neither a bundle nor a release: %w", path, err),
				"name the unchanged file of highwater bundle export, or of highwater release")
		}
		head, of = c.AuditHead, c.From
	}
	if head == nil {
		return known{}, hints.Add(fmt.Errorf("%s has no head of an audit log", path),
			"the writer kept no audit log then, or its disk did not answer; use another document, or a head of the daemon's log")
	}
	return known{*head, path, &of}, nil
}

func ends(heads []known) (out []audit.Known) {
	for _, k := range heads {
		out = append(out, k.Head)
	}
	return out
}

// ofLog refuses a document of an instance other than the log's.
func ofLog(heads []known, r audit.Report) error {
	for _, k := range heads {
		if k.of != nil && r.Instance != "" && k.of.String() != r.Instance {
			return hints.Add(fmt.Errorf("%s is of the instance %s, and the log is of %s", k.file, k.of, r.Instance),
				"name a document of the log's instance; with --dir a copy of the other machine's log is read")
		}
	}
	return nil
}
