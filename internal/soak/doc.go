// Package soak has only tests: a day of viewers and encoders that come, go, stall, break and flap, in minutes, after
// which the pump has to be what it was.
//
// A real pump runs with short terms. Churn is let loose on it in rounds; after each round everybody leaves, and when the
// pump has forgotten them its figures are read: goroutines, descriptors, packets held, memory. They have to be back where
// they were after the first round, which fills the pools that stay.
//
// A real house with three real pumps goes through the same: viewers who are sent on, served by the house itself, or never arrive
// where they were sent, pages, log-ins, rosters, streams and tokens that come and go, kicks, pumps that are killed, a slow
// webhook. Places kept for viewers, and who listens to what happens, have to be back too.
//
// `go test` runs short forms; `make soak` and `make soak-house` long ones, whose length is SOAK.
package soak
