//go:build !race

package bench

const poolsLeak = false
