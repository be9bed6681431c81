package certs

import (
	"crypto/tls"
	"crypto/x509"
	"time"

	"highwater/internal/words"
)

// Row is a certificate in use.
type Row struct {
	Setting string    `json:"setting"` // server.tls_cert
	File    string    `json:"file"`
	Subject string    `json:"subject"`
	Begins  time.Time `json:"begins"`
	Ends    time.Time `json:"ends"`
	Fault   string    `json:"fault,omitempty"` // why the file's content of now is not in use
}

// Soon is how long before its end a certificate is worth a warning.
const Soon = 30 * 24 * time.Hour

// Rows are the certificates in use, each authority by itself.
func (f *Files) Rows() []Row {
	f.Look()
	var out []Row
	if f.pair != nil {
		c, fault := f.pair.state()
		out = append(out, PairRow(f.pair.setting, f.pair.files[0], c).faulty(fault))
	}
	if f.authority != nil {
		a, fault := f.authority.state()
		for _, r := range AuthorityRows(f.authority.setting, f.authority.files[0], a.certificates) {
			out = append(out, r.faulty(fault))
		}
	}
	return out
}

// PairRow is the row of a certificate. The chain behind counts not: clients know ways around an ended link.
func PairRow(setting, file string, c tls.Certificate) Row {
	return rowOf(setting, file, c.Leaf)
}

// AuthorityRows are the rows of authorities. Of several with one name the last to end counts.
func AuthorityRows(setting, file string, list []*x509.Certificate) (out []Row) {
	at := map[string]int{}
	for _, c := range list {
		r := rowOf(setting, file, c)
		i, known := at[r.Subject]
		switch {
		case !known:
			at[r.Subject] = len(out)
			out = append(out, r)
		case r.Ends.After(out[i].Ends):
			out[i] = r
		}
	}
	return out
}

func rowOf(setting, file string, c *x509.Certificate) Row {
	return Row{Setting: setting, File: file, Subject: c.Subject.String(), Begins: c.NotBefore, Ends: c.NotAfter}
}

func (r Row) faulty(err error) Row {
	if err != nil {
		r.Fault = err.Error()
	}
	return r
}

// Name is the file with the subject, for a line.
func (r Row) Name() string {
	if r.Subject == "" {
		return r.File
	}
	return r.File + " (" + r.Subject + ")"
}

// Trouble names the fault of the certificate at a time, or a fault to come. refused: the other end of a connection
// refuses the certificate. An empty text: no fault.
func (r Row) Trouble(now time.Time) (text string, refused bool) {
	switch {
	case now.After(r.Ends):
		return r.Name() + " ended at " + words.Time(r.Ends) + ": connections are refused", true
	case now.Before(r.Begins):
		return r.Name() + " begins at " + words.Time(r.Begins) + ": connections are refused until then", true
	case r.Fault != "":
		return r.Name() + " stays in use, as the new files are not good: " + r.Fault, false
	case r.Ends.Sub(now) < Soon:
		return r.Name() + " ends soon, at " + words.Time(r.Ends), false
	}
	return "", false
}
