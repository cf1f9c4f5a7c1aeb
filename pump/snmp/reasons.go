package snmp

// Numbers of the reasons, as the MIB has them. They never change; a new reason gets the next
// number, here and in share/mibs/STREAM-PUMP-MIB.txt.
var (
	packetDropReasons = map[string]uint32{
		"malformed": 1, "oversized": 2, "undeclared": 3, "no_memory": 4, "before_key_frame": 5, "duplicate": 6,
	}
	viewerEndReasons = map[string]uint32{
		"left": 1, "ended": 2, "changed": 3, "stalled": 4, "kicked": 5, "drained": 6, "error": 7, "expired": 8, "uplink": 9,
	}
	streamStates = map[string]uint64{"offline": 1, "connecting": 2, "live": 3, "fallback": 4}
)

// PacketDropReasons and ViewerEndReasons tell which reasons have numbers.
func PacketDropReasons() map[string]uint32 { return packetDropReasons }

// ViewerEndReasons is said above.
func ViewerEndReasons() map[string]uint32 { return viewerEndReasons }
