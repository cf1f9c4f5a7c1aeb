package mmsh

import "fmt"

// Order checks the sequence of packets in a push session, [MS-WMHTTP] 3.2.5.2 to 3.2.5.7. The zero value stands at the
// beginning of a session's first PushStart, whose first packet must be $H. It belongs to one goroutine.
type Order struct{ last orderState }

type orderState uint8

const (
	orderFirst   orderState = iota // nothing seen, first PushStart
	orderResumed                   // nothing seen, later PushStart of the session
	orderHeader
	orderData
	orderEntryEnd // $E(1): a $C is due
	orderChange
	orderFiller
	orderEnd // $E with any other reason: nothing may follow
)

var orderNames = [...]string{
	"at the start of the push", "at the start of a continued push", "after $H", "after $D", "after $E(1)", "after $C",
	"after $F", "after the end",
}

// orderAllowed lists the types that may follow each state. A continued push that comes back after a lost connection
// may repeat its $H. A server takes $C after $D without $E(1) in between.
var orderAllowed = [...]string{
	orderFirst:    "H",
	orderResumed:  "DCFEH",
	orderHeader:   "DEF",
	orderData:     "DEFC",
	orderEntryEnd: "CEF",
	orderChange:   "DEF",
	orderFiller:   "CDEF",
	orderEnd:      "",
}

// ContinuedOrder is the order of a later PushStart of a session whose header is known: it may begin with $D, $C, $F or
// $E.
func ContinuedOrder() Order { return Order{last: orderResumed} }

// Check takes the next packet's type, and for $E its reason, and errs with [ErrOrder] when it may not come here; the
// state then stays. Types other than $H $D $C $E $F are allowed anywhere and change nothing.
func (o *Order) Check(typ byte, reason uint32) error {
	next, ok := orderAfter(typ, reason)
	if !ok {
		return nil
	}
	for i := 0; i < len(orderAllowed[o.last]); i++ {
		if orderAllowed[o.last][i] == typ {
			if next != orderFiller || o.last != orderEntryEnd { // filler does not replace the $C that is due
				o.last = next
			}
			return nil
		}
	}
	return o.violation(typ)
}

func (o *Order) violation(typ byte) error {
	allowed := orderAllowed[o.last]
	if allowed == "" {
		return fmt.Errorf("$%c %s, nothing may follow: %w", typ, orderNames[o.last], ErrOrder)
	}
	return fmt.Errorf("$%c %s, expected one of %q: %w", typ, orderNames[o.last], allowed, ErrOrder)
}

func orderAfter(typ byte, reason uint32) (orderState, bool) {
	switch typ {
	case TypeHeader:
		return orderHeader, true
	case TypeData:
		return orderData, true
	case TypeChange:
		return orderChange, true
	case TypeFiller:
		return orderFiller, true
	case TypeEnd:
		if reason == ReasonEntryEnd {
			return orderEntryEnd, true
		}
		return orderEnd, true
	}
	return 0, false
}
