// Package cli is what the commands of this project have in common: how they are called, how
// they tell usage, errors and problems, and with which exit status they end.
package cli
