// Package page looks at the status page in a real browser.
package page
