// Package arch has no code of its own, only tests: they compare the imports of the whole module with
// the table of tiers in docs/architecture.md.
//
// A new package, or a new arrow between two, is therefore a change of table_test.go and of that page
// before it is a change of code. Test files are free to import what they like.
package arch
