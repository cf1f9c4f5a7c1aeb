// Package certtest makes certificates for tests: an authority that lives as long as the
// test, and what it issues.
package certtest
