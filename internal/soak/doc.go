// Package soak has only tests: a day of viewers and encoders that come, go, stall, break and flap, in minutes, after
// which the pump has to be what it was.
//
// A real pump runs with short terms. Churn is let loose on it in rounds; after each round everybody leaves, and when the
// pump has forgotten them its figures are read: goroutines, descriptors, packets held, memory. They have to be back where
// they were after the first round, which fills the pools that stay.
//
// `go test` runs a short form; `make soak` a long one, whose length is SOAK.
package soak
