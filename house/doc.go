// Package house is the fleet's controller: it keeps a roster of pumps, gives each its
// configuration, hears what they do, and sends every viewer to a pump that can serve him.
//
// [Run] puts the parts together: the store and what is kept in it (house/store,
// house/registry), the fleet in memory (house/live), the door for pumps (house/gate), the
// choice for viewers (house/delegate), and the page with its API (house/web). See
// docs/fleet.md for how to use it and docs/adr/0001-fleet.md for why it is built so.
package house
