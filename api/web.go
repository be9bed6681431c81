package api

import (
	"context"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// fromOutside denies requests of web pages in a browser on this machine. A client of a signer sends no Origin, and over
// loopback without TLS no Host of another machine (a web page has a foreign Host after its name was made to point to
// this machine). deny writes the answer.
func fromOutside(h http.Handler,
	deny func(w http.ResponseWriter, r *http.Request, status int, text, hint string),
) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case len(r.Header.Values("Origin")) > 0:
			deny(w, r, http.StatusForbidden, "requests of web pages are not answered (the request has an Origin)", "")
		case fromOtherSite(r):
			deny(w, r, http.StatusForbidden, "requests of web pages elsewhere are not answered (Sec-Fetch-Site: "+
				shorten(r.Header.Get("Sec-Fetch-Site"))+")", "")
		case foreignHost(r):
			deny(w, r, http.StatusForbidden, "the request is for the host "+shorten(r.Host)+", and came over loopback",
				"ask for localhost, or for an address like 127.0.0.1")
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// fromOtherSite tells whether a browser says that a page of another address sends the request: as a picture, a script or
// a frame, which have no Origin. A link to a page is followed.
func fromOtherSite(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return false
	}
	return r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Header.Get("Sec-Fetch-Dest") != "document"
}

// foreignHost tells whether a request over loopback names a host other than this machine. A request without a Host
// (HTTP/1.0) is from no browser. Under TLS the certificate has the name.
func foreignHost(r *http.Request) bool {
	return r.Host != "" && r.TLS == nil && overLoopback(r.Context()) && !ownName(r.Host)
}

// overLoopback tells whether the connection of a request ends at a loopback address of this machine.
func overLoopback(ctx context.Context) bool {
	at, ok := ctx.Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && at.IP.IsLoopback()
}

// ownName tells whether host, with a port or without, is localhost or a loopback address.
func ownName(host string) bool {
	name := (&url.URL{Host: host}).Hostname()
	if strings.EqualFold(name, "localhost") {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}

// jsonBody tells whether the Content-Type of a body is JSON or missing; octez takes a missing type for JSON. A web page
// cannot say JSON without asking first (CORS).
func jsonBody(r *http.Request) bool {
	for _, value := range r.Header.Values("Content-Type") {
		if value == "application/json" {
			continue
		}
		if kind, _, err := mime.ParseMediaType(value); err != nil || kind != "application/json" {
			return false
		}
	}
	return true
}

// withoutEmptySegments gives h each path without its empty segments, as octez-signer reads paths: //keys/tz1…/ is
// /keys/tz1….
func withoutEmptySegments(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, raw := squeeze(r.URL.Path), squeeze(r.URL.RawPath)
		if path == r.URL.Path && raw == r.URL.RawPath {
			h.ServeHTTP(w, r)
			return
		}
		same, where := *r, *r.URL
		where.Path, where.RawPath = path, raw
		same.URL = &where
		h.ServeHTTP(w, &same)
	})
}

// squeeze drops the empty segments of a path with a slash at its beginning; other paths stay unchanged.
func squeeze(path string) string {
	last := len(path) - 1
	if last < 1 || path[0] != '/' || path[last] != '/' && !strings.Contains(path, "//") {
		return path
	}
	segments := strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
	return "/" + strings.Join(segments, "/")
}
