package agentx

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stream-pump/stream-pump/internal/worldtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var base = OID{1, 3, 6, 1, 4, 1, 8072, 9999, 9999, 8086}

// sample is a tree with a scalar, two columns of two rows, and every kind of value.
func sample() Tree {
	return Tree{
		{base.With(1, 1, 0), OctetString, 0, "version"},
		{base.With(1, 2, 0), TimeTicks, 4294967295, ""},
		{base.With(2, 1, 1), Integer, 3, ""},
		{base.With(2, 1, 2), Integer, 4, ""},
		{base.With(2, 2, 1), Counter64, 1 << 40, ""},
		{base.With(2, 2, 2), Gauge32, 7, ""},
	}
}

// run runs an agent until the end of the test, or until stop is called.
func run(t testing.TB, m *master, change func(*Options)) (log *worldtest.Log, stop func()) {
	t.Helper()
	log = &worldtest.Log{}
	o := Options{
		Network: "unix", Address: m.ln.Addr().String(), Subtree: base, Description: "test", Tree: sample,
		Log: slog.New(slog.NewTextHandler(log, nil)), WaitMin: time.Millisecond, WaitMax: 10 * time.Millisecond,
	}
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { Run(ctx, o) })
	stop = func() { cancel(); done.Wait() }
	t.Cleanup(stop)
	return log, stop
}

// A master is answered in either byte order.
func TestRequests(t *testing.T) {
	none := func(kind Kind, oid OID) Value { return Value{OID: oid, Kind: kind} }
	tree := sample()
	at := func(oid OID) span { return span{start: oid} }
	bulk := func(m *master, alone, repeats uint16) []byte {
		return m.order.AppendUint16(m.order.AppendUint16(nil, alone), repeats)
	}
	for _, order := range []binary.ByteOrder{binary.BigEndian, binary.LittleEndian} {
		t.Run(order.String(), func(t *testing.T) {
			m := newMaster(t)
			if order == binary.LittleEndian {
				m.order = binary.LittleEndian
			}
			run(t, m, nil)
			m.welcome()
			for name, c := range map[string]struct {
				kind  byte
				head  []byte
				spans []span
				want  []Value
			}{
				"get of every kind": {typeGet, nil, []span{at(tree[0].OID), at(tree[1].OID), at(tree[2].OID), at(tree[4].OID), at(tree[5].OID)},
					[]Value{tree[0], tree[1], tree[2], tree[4], tree[5]}},
				"get of a row that is not there":    {typeGet, nil, []span{at(base.With(2, 1, 9))}, []Value{none(noSuchInstance, base.With(2, 1, 9))}},
				"get of a column that is not there": {typeGet, nil, []span{at(base.With(2, 9, 1))}, []Value{none(noSuchObject, base.With(2, 9, 1))}},
				"get of the subtree itself":         {typeGet, nil, []span{at(base)}, []Value{none(noSuchObject, base)}},
				"get of the null identifier":        {typeGet, nil, []span{at(nil)}, []Value{none(noSuchObject, nil)}},
				"get of nothing":                    {typeGet, nil, nil, nil},
				"next from the subtree":             {typeGetNext, nil, []span{at(base)}, []Value{tree[0]}},
				"next from a value":                 {typeGetNext, nil, []span{at(tree[0].OID)}, []Value{tree[1]}},
				"next from a value, included":       {typeGetNext, nil, []span{{tree[0].OID, true, nil}}, []Value{tree[0]}},
				"next between two":                  {typeGetNext, nil, []span{at(base.With(1, 2, 0, 5))}, []Value{tree[2]}},
				"next behind the last":              {typeGetNext, nil, []span{at(tree[5].OID)}, []Value{none(endOfMIBView, tree[5].OID)}},
				"next that would be beyond the end": {typeGetNext, nil, []span{{tree[1].OID, false, base.With(2)}}, []Value{none(endOfMIBView, tree[1].OID)}},
				"next of several":                   {typeGetNext, nil, []span{at(base), at(tree[3].OID)}, []Value{tree[0], tree[4]}},
				"bulk, one alone and one thrice":    {typeGetBulk, bulk(m, 1, 3), []span{at(base), at(tree[1].OID)}, []Value{tree[0], tree[2], tree[3], tree[4]}},
				"bulk ends with the view":           {typeGetBulk, bulk(m, 0, 100), []span{at(tree[4].OID)}, []Value{tree[5], none(endOfMIBView, tree[5].OID)}},
				"bulk of more alone than there are": {typeGetBulk, bulk(m, 9, 9), []span{at(base)}, []Value{tree[0]}},
				"bulk without repeats":              {typeGetBulk, bulk(m, 0, 0), []span{at(base)}, nil},
				"bulk of as many repeats as can be said": {typeGetBulk, bulk(m, 0, 65535), []span{at(tree[4].OID), at(tree[5].OID)},
					[]Value{tree[5], none(endOfMIBView, tree[5].OID), none(endOfMIBView, tree[5].OID), none(endOfMIBView, tree[5].OID)}},
			} {
				code, got := m.ask(c.kind, c.head, c.spans...)
				if code != noError || !reflect.DeepEqual(got, c.want) {
					t.Errorf("%s: error %d,\n got %v\nwant %v", name, code, got, c.want)
				}
			}
		})
	}
}

// Whatever asks for a change is refused, and the session goes on.
func TestNothingCanBeSet(t *testing.T) {
	m := newMaster(t)
	run(t, m, nil)
	m.welcome()
	if code, _ := m.ask(typeTestSet, nil); code != notWritable {
		t.Errorf("test: %d", code)
	}
	if code, _ := m.ask(typeCommitSet, nil); code != genErr {
		t.Errorf("commit: %d", code)
	}
	m.send(typeCleanupSet, header{session: 7}, nil) // has no answer
	m.send(typeGet, header{session: 7, flags: flagContext, packet: 5}, m.order.AppendUint32(nil, 0))
	h, r := m.expect(typeResponse)
	r.take(4)
	if code := r.order.Uint16(r.take(4)); h.packet != 5 || code != unsupportedContext {
		t.Errorf("another context: %+v, error %d", h, code)
	}
	if _, got := m.ask(typeGet, nil, span{start: sample()[0].OID}); len(got) != 1 || got[0].Text != "version" {
		t.Errorf("afterwards: %v", got)
	}
}

// What a master must not send ends the connection, is logged, and the agent comes back.
func TestStrangeMasters(t *testing.T) {
	response := func(m *master, code uint16) []byte {
		return m.order.AppendUint16(m.order.AppendUint16(m.order.AppendUint32(nil, 0), code), 0)
	}
	for name, c := range map[string]struct {
		early bool // before the session is open
		send  func(*master) []byte
		says  string
	}{
		"no AgentX":         {true, func(*master) []byte { return []byte("HTTP/1.0 400 Bad Request\r\n\r\n") }, "a message of version 72"},
		"a refusal to open": {true, func(m *master) []byte { return m.message(typeResponse, header{packet: 1}, response(m, openFailed)) }, "the master refuses: it takes no session"},
		"an OID that another one serves": {true, func(m *master) []byte {
			yes := m.message(typeResponse, header{session: 7, packet: 1}, response(m, noError))
			return append(yes, m.message(typeResponse, header{session: 7, packet: 2}, response(m, duplicate))...)
		}, "registering 1.3.6.1.4.1.8072.9999.9999.8086: the master refuses: another sub-agent serves this OID, such as a second pump (each needs an OID of its own: snmp.oid)"},
		"a refusal without a name": {true, func(m *master) []byte { return m.message(typeResponse, header{packet: 1}, response(m, 299)) }, "the master refuses: error 299 of RFC 2741"},
		"another's answer":         {true, func(m *master) []byte { return m.message(typeResponse, header{packet: 99}, response(m, 0)) }, "answers with a message"},
		"a request too early":      {true, func(m *master) []byte { return m.message(typeGet, header{}, nil) }, "answers with a message of type 5"},
		"an empty answer":          {true, func(m *master) []byte { return m.message(typeResponse, header{packet: 1}, nil) }, "ends too early"},
		"a message without end": {false, func(m *master) []byte {
			return []byte{1, typeGet, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xfc}
		}, "a message of 4294967292 bytes"},
		"an odd length": {false, func(m *master) []byte {
			return []byte{1, typeGet, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3}
		}, "a message of 3 bytes"},
		"a message for masters":    {false, func(m *master) []byte { return m.message(typeOpen, header{}, nil) }, "sends a message of type 1"},
		"a session that is closed": {false, func(m *master) []byte { return m.message(typeClose, header{session: 7}, make([]byte, 4)) }, "has closed the session"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMaster(t)
			log, _ := run(t, m, nil)
			if c.early {
				m.accept()
				m.expect(typeOpen)
			} else {
				m.welcome()
			}
			_, _ = m.conn.Write(c.send(m))
			for {
				if _, _, err := m.tryReceive(); err != nil {
					break // it has hung up
				}
			}
			m.welcome()
			if !strings.Contains(log.String(), c.says) {
				t.Errorf("the log does not say %q:\n%s", c.says, log)
			}
		})
	}
}

// A request that cannot be read is answered with an error; the session goes on.
func TestARequestThatIsCutOff(t *testing.T) {
	m := newMaster(t)
	run(t, m, nil)
	m.welcome()
	for name, payload := range map[string][]byte{
		"half an identifier":         {200, 0, 0, 0, 0, 0, 0, 1},
		"an identifier of 130":       append([]byte{130, 0, 0, 0}, make([]byte, 4*130)...),
		"a span without end":         {0, 0, 0, 0},
		"spans without number":       make([]byte, 8*(maxBindings+1)),
		"a prefix and too many more": append([]byte{126, 4, 0, 0}, make([]byte, 4*126)...),
	} {
		m.send(typeGetNext, header{session: 7, packet: 3}, payload)
		_, r := m.expect(typeResponse)
		r.take(4)
		if code := r.order.Uint16(r.take(4)); code != parseError {
			t.Errorf("%s: error %d", name, code)
		}
	}
}

// The agent comes back when the master was away, however often.
func TestMasterRestarts(t *testing.T) {
	m := newMaster(t)
	log, _ := run(t, m, nil)
	for range 20 {
		m.welcome()
		if _, got := m.ask(typeGet, nil, span{start: sample()[0].OID}); len(got) != 1 {
			t.Fatalf("got %v", got)
		}
		_ = m.conn.Close()
	}
	if n := strings.Count(log.String(), "is away"); n > 2 {
		t.Errorf("20 restarts are %d lines:\n%s", n, log)
	}
}

// A master that says nothing is asked for a sign of life, and left when it gives none.
func TestSilentMaster(t *testing.T) {
	m := newMaster(t)
	log, _ := run(t, m, func(o *Options) { o.Ping, o.Answer = 50*time.Millisecond, 2*time.Second })
	m.welcome()
	for range 2 {
		h, _ := m.expect(typePing)
		m.respond(h, noError)
	}
	m.expect(typePing) // no answer to this one
	if _, _, err := m.tryReceive(); err == nil {
		t.Fatal("it went on talking")
	}
	m.welcome()
	if !strings.Contains(log.String(), "the master is silent") {
		t.Errorf("the log:\n%s", log)
	}
}

// One that stops in the middle of a message does not hold the agent for ever.
func TestMasterThatStopsInside(t *testing.T) {
	m := newMaster(t)
	run(t, m, func(o *Options) { o.Answer = time.Second })
	m.welcome()
	whole := m.message(typeGet, header{session: 7}, make([]byte, 64))
	if _, err := m.conn.Write(whole[:40]); err != nil {
		t.Fatal(err)
	}
	m.welcome()
}

// At its end the agent says good-bye, from whatever state.
func TestEnd(t *testing.T) {
	m := newMaster(t)
	_, stop := run(t, m, nil)
	m.welcome()
	m.ask(typeGet, nil) // it has read everything
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	if h, r := m.expect(typeClose); h.session != 7 || r.b[0] != closeShutdown {
		t.Errorf("the farewell is %+v, %v", h, r.b)
	}
	if _, err := m.conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after it: %v", err)
	}
	<-stopped

	away := newMaster(t)
	_ = away.ln.Close() // nobody listens
	_, stop = run(t, away, func(o *Options) { o.WaitMin, o.WaitMax = time.Hour, time.Hour })
	stop()
}
