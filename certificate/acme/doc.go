// Package acme gets the certificates of a server from an authority that speaks ACME
// (RFC 8555), such as Let's Encrypt, and renews them in time.
//
// The authority makes sure that the names are ours by connecting to them: to port 443
// with TLS (tls-alpn-01), or to port 80 with HTTP (http-01). Either has to lead to the
// server: [Manager.GetCertificate] answers the first, [Manager.ServeHTTP] the second.
//
// Account, keys and certificates are kept in a folder, so that a restart asks nobody.
// Until the first certificate is there TLS handshakes fail; when an attempt fails it is
// made again, later and later, for a month.
package acme
