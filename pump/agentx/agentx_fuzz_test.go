package agentx

import (
	"bytes"
	"testing"
	"time"
)

// Whatever a master sends is answered within bounds, or not at all, and never ends the
// program. An answer can be read by the same rules.
func FuzzAnswer(f *testing.F) {
	m := &master{TB: f, order: newMaster(f).order}
	seed := func(kind byte, head []byte, spans ...span) {
		payload := head
		for _, s := range spans {
			payload = m.appendOID(payload, s.start, s.include)
			payload = m.appendOID(payload, s.end, false)
		}
		f.Add(m.message(kind, header{session: 7, packet: 3}, payload))
	}
	seed(typeGet, nil, span{start: base.With(1, 1, 0)}, span{start: base})
	seed(typeGetNext, nil, span{start: base, include: true, end: base.With(9)})
	seed(typeGetBulk, []byte{0, 1, 0, 9}, span{start: base}, span{start: base.With(2)})
	seed(typeGetBulk, []byte{0, 0, 0xff, 0xff}, span{start: base}, span{})
	seed(typeTestSet, nil)
	seed(typeCleanupSet, nil)
	seed(typePing, nil)
	// What snmpd 5.9 sends: a GetNext in little-endian, with a prefix.
	f.Add([]byte{1, 6, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 20, 0, 0, 0, 1, 4, 1, 0, 1, 0, 0, 0, 1, 4, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0})
	tree := sample()
	f.Fuzz(func(t *testing.T, message []byte) {
		h, err := parseHeader(message)
		if err != nil {
			return
		}
		payload := message[headerSize:]
		payload = payload[:min(len(payload), h.payload)]
		before := bytes.Clone(payload)
		response, ok := answer(h, payload, func() Tree { return tree }, time.Second)
		if !bytes.Equal(payload, before) {
			t.Error("the request was changed")
		}
		if !ok || response == nil {
			return
		}
		if len(response) > maxPayload*2 {
			t.Errorf("an answer of %d bytes", len(response))
		}
		back, err := parseHeader(response)
		if err != nil {
			return // longer than what is believed of others; the master decides for itself
		}
		if back.kind != typeResponse || back.session != h.session || back.packet != h.packet || back.payload != len(response)-headerSize {
			t.Errorf("the answer to %+v is %+v of %d bytes", h, back, len(response))
		}
		r := &reader{b: response[headerSize:], order: back.order()}
		r.take(8)
		for n := 0; r.more(); n++ {
			readValue(r)
			if n > maxBindings {
				t.Fatal("more values than allowed")
			}
		}
		if r.err != nil {
			t.Error(r.err)
		}
	})
}

func FuzzParseOID(f *testing.F) {
	for _, s := range []string{"1.3.6.1.4.1", ".2.999.4294967295", "0.39", "1..3", "-1.3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		oid, err := ParseOID(s)
		if err != nil {
			return
		}
		again, err := ParseOID(oid.String())
		if err != nil || again.Compare(oid) != 0 {
			t.Errorf("%q is %v, which is read as %v, %v", s, oid, again, err)
		}
		w := newWriter(typeGet, 0, 0, 0)
		w.oid(oid)
		r := &reader{b: w.b[headerSize:], order: header{flags: flagNetworkOrder}.order()}
		if got, _ := r.oid(); r.err != nil || got.Compare(oid) != 0 {
			t.Errorf("%v is sent as %v, %v", oid, got, r.err)
		}
	})
}
