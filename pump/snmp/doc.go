// Package snmp makes the figures of a pump the values of STREAM-PUMP-MIB, the file in
// share/mibs that describes them to a monitoring desk.
//
//	BASE.1.1     scalars: version, uptime, viewers, totals
//	BASE.1.2     streams: path, state, viewers, rates, counters
//	BASE.1.3     packets of the sources that were refused, by reason
//	BASE.1.4     viewers that are gone, by reason
//	BASE.1.5     event loops: the time they have worked
//
// Everything can be read and nothing be set. A stream keeps its row number as long as the
// program runs and the stream is configured, so that counters of two polls belong together.
// No enterprise number has been assigned to this project: BASE lies in the branch that
// Net-SNMP keeps for experiments, and can be any other.
package snmp
