// Package agentx is an AgentX sub-agent (RFC 2741): it answers a master agent, such as
// Net-SNMP's snmpd, for one subtree of object identifiers. The master speaks SNMP with the
// world, checks who may ask, and asks us.
//
//	Agent.Run   connects, opens a session, registers the subtree, answers; comes back when the master was away
//	Tree        the values of the subtree, in order, read-only
//
// One goroutine does all of it. It reads one message, answers it, and reads the next: there
// is no queue. A silent master is asked for a sign of life; one that does not answer, sends
// what cannot be read, or more than fits the bounds, loses its connection and is connected
// to anew after a wait. Nothing that it sends can make the program end or grow.
package agentx
