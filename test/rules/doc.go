// Package rules asks each query of the dashboard, and each alert rule, of a real Prometheus that scrapes real daemons.
package rules
