// Package linktest has only tests: two pumps with a slow, breakable line between them.
//
// Each pump has a network namespace of its own. The namespaces are joined by one virtual cable, limited to a fixed
// rate both ways, and by nothing else: no address of the machine itself is touched. One pump is fed by a synthetic
// encoder, the other pulls from it and serves all viewers. The tests count what the cable carries, and pull it.
//
// They need Linux, root, ip and tc (iproute2); otherwise they are skipped and say so. Root with CI=true in the
// environment has to be able to run them. `go test -short` skips them all.
//
// Nothing is left behind: children die with the test run, a guard process removes namespaces and files whatever
// becomes of it, and each run sweeps away what an earlier one may have left all the same.
package linktest
