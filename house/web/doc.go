// Package web is the house's face for people and scripts: the page, the REST API with its
// description, the log-in, and the metrics. It reads the fleet from package live, and changes
// it through [Steering], so it can be tested without a store and without pumps.
package web
