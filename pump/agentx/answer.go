package agentx

import (
	"fmt"
	"time"
)

// Errors of a response (RFC 2741, 7.1 and RFC 3416).
const (
	noError            = 0
	genErr             = 5
	notWritable        = 17
	openFailed         = 256
	notOpen            = 257
	unsupportedContext = 262
	duplicate          = 263
	parseError         = 266
	requestDenied      = 267
	processingError    = 268
)

// reason tells an operator what an error of the master's means, and what would be right.
func reason(code uint16) string {
	switch code {
	case openFailed:
		return "it takes no session"
	case notOpen:
		return "it does not know this session any more"
	case duplicate:
		return "another sub-agent serves this OID, such as a second pump (each needs an OID of its own: snmp.oid)"
	case requestDenied:
		return "its configuration does not let this sub-agent register the OID"
	}
	return fmt.Sprintf("error %d of RFC 2741", code)
}

// maxBindings bounds the values of one response; a master asks again for the rest.
const maxBindings = 256

// answer returns the response to a request, nil where none is due. ok is false for what only
// a master may not send, or what ends the session.
func answer(h header, payload []byte, tree func() Tree, uptime time.Duration) (response []byte, ok bool) {
	w := newWriter(typeResponse, h.session, h.transaction, h.packet)
	respond := func(code uint16, values []Value) []byte {
		w.uint32(uint32(uptime / (10 * time.Millisecond)))
		w.uint16(code)
		w.uint16(0)
		if code != noError {
			w.b[len(w.b)-1] = 1 // the index of a variable that is to blame: the first
		}
		for _, v := range values {
			v.write(w)
		}
		return w.message()
	}
	switch h.kind {
	case typeCleanupSet:
		return nil, true // the one request without an answer
	case typeTestSet:
		return respond(notWritable, nil), true
	case typeCommitSet, typeUndoSet:
		return respond(genErr, nil), true // nothing was tested successfully
	case typeGet, typeGetNext, typeGetBulk:
	default:
		return nil, false
	}
	r := &reader{b: payload, order: h.order()}
	if h.flags&flagContext != 0 {
		r.octets()
		return respond(unsupportedContext, nil), true
	}
	values, err := r.look(h.kind, tree())
	if err != nil {
		return respond(parseError, nil), true
	}
	return respond(noError, values), true
}

// look finds what a request asks for.
func (r *reader) look(kind byte, tree Tree) ([]Value, error) {
	alone, repeats := maxBindings, 0
	if kind == typeGetBulk {
		both := r.take(4)
		alone, repeats = int(r.order.Uint16(both)), int(r.order.Uint16(both[2:]))
	}
	spans := r.spans()
	if r.err != nil {
		return nil, r.err
	}
	var values []Value
	for _, s := range spans[:min(alone, len(spans))] {
		if kind == typeGet {
			values = append(values, tree.get(s.start))
		} else {
			values = append(values, tree.next(s))
		}
	}
	repeated := spans[min(alone, len(spans)):]
	for ; repeats > 0 && len(repeated) > 0 && len(values)+len(repeated) <= maxBindings; repeats-- {
		ended := true
		for i := range repeated {
			v := tree.next(repeated[i])
			values = append(values, v)
			repeated[i].start, repeated[i].include = v.OID, false
			ended = ended && v.Kind == endOfMIBView
		}
		if ended {
			break
		}
	}
	return values, nil
}

// spans reads the rest of a payload as a list of search ranges (RFC 2741, 5.2).
func (r *reader) spans() (list []span) {
	for r.more() {
		if len(list) == maxBindings {
			r.err = errShort
			return nil
		}
		var s span
		s.start, s.include = r.oid()
		s.end, _ = r.oid()
		list = append(list, s)
	}
	return list
}
