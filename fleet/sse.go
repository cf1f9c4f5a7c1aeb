package fleet

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrMessageTooLong says that a server-sent event is longer than [MaxBody].
var ErrMessageTooLong = fmt.Errorf("server-sent event longer than %d bytes", MaxBody)

// Message is one server-sent event.
type Message struct {
	Event string // name; empty: "message"
	ID    string
	Data  []byte // without the final newline
}

// AppendMessage appends m as it goes over the wire. Data may have several lines, with LF
// alone; Event and ID must not.
func AppendMessage(b []byte, m Message) []byte {
	if m.Event != "" {
		b = append(append(append(b, "event: "...), m.Event...), '\n')
	}
	if m.ID != "" {
		b = append(append(append(b, "id: "...), m.ID...), '\n')
	}
	for line := range bytes.SplitSeq(m.Data, []byte("\n")) {
		b = append(append(append(b, "data: "...), line...), '\n')
	}
	return append(b, '\n')
}

// Comment is what keeps an event stream from being silent.
var Comment = []byte(": \n\n")

// MessageReader reads server-sent events (HTML standard, 9.2.6). It takes LF and CRLF.
type MessageReader struct {
	r *bufio.Reader

	// Heard, if set, is called for every line, comments included: the house is alive.
	Heard func()
}

// NewMessageReader returns a reader of events from r.
func NewMessageReader(r io.Reader) *MessageReader {
	return &MessageReader{r: bufio.NewReaderSize(r, 16<<10)}
}

// Next returns the next event that has data. At the end of r it returns io.EOF, also in
// the middle of an event, which is dropped as the standard wants.
func (m *MessageReader) Next() (Message, error) {
	var msg Message
	var data []byte
	has := false
	for size := 0; ; {
		line, err := m.line(MaxBody - size)
		if err != nil {
			return Message{}, err
		}
		size += len(line) + 1
		if m.Heard != nil {
			m.Heard()
		}
		if line == "" {
			if has {
				msg.Data = data
				return msg, nil
			}
			msg, size = Message{}, 0
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			msg.Event = value
		case "id":
			msg.ID = value
		case "data":
			if has {
				data = append(data, '\n')
			}
			data, has = append(data, value...), true
		}
	}
}

// line returns the next line without its end, which may be no longer than most.
func (m *MessageReader) line(most int) (string, error) {
	var whole []byte
	for {
		part, err := m.r.ReadSlice('\n')
		if len(whole)+len(part) > most+2 {
			return "", ErrMessageTooLong
		}
		switch {
		case err == nil && whole == nil:
			return strings.TrimSuffix(strings.TrimSuffix(string(part), "\n"), "\r"), nil
		case err == nil:
			whole = append(whole, part...)
			return strings.TrimSuffix(strings.TrimSuffix(string(whole), "\n"), "\r"), nil
		case errors.Is(err, bufio.ErrBufferFull):
			whole = append(whole, part...)
		default:
			return "", err
		}
	}
}
