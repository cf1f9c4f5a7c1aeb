// Package fleet is the contract between a pump and its pump house: what they say to
// each other, in which form, and within which bounds.
//
// Everything goes over HTTPS from the pump to the house, so that it crosses the proxies
// and firewalls that pumps live behind:
//
//	POST /fleet/v1/hello        who I am, with key or client certificate → a session
//	GET  /fleet/v1/events       server-sent events: configurations and commands
//	POST /fleet/v1/telemetry    what I do, who came and went; acknowledged by number
//	POST /fleet/v1/certificate  a certificate request, with invitation or session
//	GET  /fleet/v1/config       the configuration once, for people and scripts
//
// # Who believes whom
//
// A pump believes the house it has verified. The house believes a pump only about
// itself, and only within the bounds that the Check methods lay down: a batch that is
// negative, huge or of another pump is refused whole, with [CodeBadMessage] and the
// field's name. No side uses the other's clock: times in messages are ages.
//
// # Nothing is lost over a break
//
// Joins, leaves and answers to commands are numbered from 1 since the pump's start (its
// boot). The pump keeps them until a [Receipt] acknowledges them, and sends again what is
// not acknowledged; the house ignores what it has. A house that does not know the boot,
// or misses numbers that the pump no longer has, asks for a [Snapshot] of all viewers
// and goes on from there. See [Batch] for the rules.
//
// # Versions
//
// The version stands in the path. Within one version fields are only added; both sides
// ignore fields they do not know.
package fleet
