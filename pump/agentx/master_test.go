package agentx

import (
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// master stands in for snmpd. It writes messages in the byte order it is told, and reads
// those of the agent, which are all big-endian.
type master struct {
	testing.TB
	ln    net.Listener
	conn  net.Conn
	order interface {
		binary.ByteOrder
		binary.AppendByteOrder
	}
}

func newMaster(t testing.TB) *master {
	t.Helper()
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "master"))
	if err != nil {
		t.Fatal(err)
	}
	m := &master{TB: t, ln: ln, order: binary.BigEndian}
	t.Cleanup(func() {
		_ = ln.Close()
		if m.conn != nil {
			_ = m.conn.Close()
		}
	})
	return m
}

const patience = time.Minute

// accept waits for the agent and takes the place of an earlier connection.
func (m *master) accept() {
	m.Helper()
	_ = m.ln.(*net.UnixListener).SetDeadline(time.Now().Add(patience))
	conn, err := m.ln.Accept()
	if err != nil {
		m.Fatal(err)
	}
	if m.conn != nil {
		_ = m.conn.Close()
	}
	m.conn = conn
	_ = conn.SetDeadline(time.Now().Add(patience))
}

// receive reads one message of the agent.
func (m *master) receive() (header, *reader) {
	m.Helper()
	h, r, err := m.tryReceive()
	if err != nil {
		m.Fatal(err)
	}
	return h, r
}

func (m *master) tryReceive() (header, *reader, error) {
	head := make([]byte, headerSize)
	if _, err := io.ReadFull(m.conn, head); err != nil {
		return header{}, nil, err
	}
	h, err := parseHeader(head)
	if err != nil {
		return h, nil, err
	}
	body := make([]byte, h.payload)
	_, err = io.ReadFull(m.conn, body)
	return h, &reader{b: body, order: h.order()}, err
}

// expect reads a message that has to be of a kind.
func (m *master) expect(kind byte) (header, *reader) {
	m.Helper()
	h, r := m.receive()
	if h.kind != kind {
		m.Fatalf("a message of type %d, want %d", h.kind, kind)
	}
	return h, r
}

// send writes a message.
func (m *master) send(kind byte, h header, payload []byte) {
	m.Helper()
	if _, err := m.conn.Write(m.message(kind, h, payload)); err != nil {
		m.Fatal(err)
	}
}

func (m *master) message(kind byte, h header, payload []byte) []byte {
	flags := h.flags &^ flagNetworkOrder
	if m.order == binary.BigEndian {
		flags |= flagNetworkOrder
	}
	b := []byte{version, kind, flags, 0}
	for _, n := range []uint32{h.session, h.transaction, h.packet, uint32(len(payload))} {
		b = m.order.AppendUint32(b, n)
	}
	return append(b, payload...)
}

// respond answers a message of the agent.
func (m *master) respond(h header, code uint16) {
	m.Helper()
	payload := m.order.AppendUint32(nil, 1)
	payload = m.order.AppendUint16(payload, code)
	m.send(typeResponse, h, m.order.AppendUint16(payload, 0))
}

// welcome takes the agent through opening and registering, in session 7.
func (m *master) welcome() {
	m.Helper()
	m.accept()
	h, _ := m.expect(typeOpen)
	h.session = 7
	m.respond(h, noError)
	h, r := m.expect(typeRegister)
	if h.session != 7 {
		m.Errorf("registers in session %d", h.session)
	}
	r.take(4)
	if oid, _ := r.oid(); oid.Compare(base) != 0 {
		m.Errorf("registers %v", oid)
	}
	m.respond(h, noError)
}

// appendOID appends an identifier as a master writes it, without abbreviation.
func (m *master) appendOID(b []byte, oid OID, include bool) []byte {
	inc := byte(0)
	if include {
		inc = 1
	}
	b = append(b, byte(len(oid)), 0, inc, 0)
	for _, n := range oid {
		b = m.order.AppendUint32(b, n)
	}
	return b
}

// ask sends a request for spans and returns error and values of the answer.
func (m *master) ask(kind byte, head []byte, spans ...span) (code uint16, values []Value) {
	m.Helper()
	payload := head
	for _, s := range spans {
		payload = m.appendOID(payload, s.start, s.include)
		payload = m.appendOID(payload, s.end, false)
	}
	m.send(kind, header{session: 7, transaction: 11, packet: 13}, payload)
	h, r := m.expect(typeResponse)
	if h.session != 7 || h.transaction != 11 || h.packet != 13 {
		m.Errorf("the answer's header is %+v", h)
	}
	r.take(4)
	both := r.take(4)
	code = r.order.Uint16(both)
	for r.more() {
		values = append(values, readValue(r))
	}
	if r.err != nil {
		m.Error(r.err)
	}
	return code, values
}

func readValue(r *reader) Value {
	v := Value{Kind: Kind(r.order.Uint16(r.take(4)))}
	v.OID, _ = r.oid()
	switch v.Kind {
	case Integer, Gauge32, TimeTicks:
		v.Number = uint64(r.uint32())
	case Counter64:
		v.Number = uint64(r.uint32())<<32 | uint64(r.uint32())
	case OctetString:
		v.Text = string(r.octets())
	}
	return v
}
