//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/stream-pump/stream-pump/mmsh"
)

// opening is what a viewer says and hears until the first media has come. Afterwards
// nobody looks at the bytes. It belongs to one connection.
type opening interface {
	// hello is what to say when connected.
	hello() []byte
	// hear takes what came and returns what to say next, if anything, and whether the
	// first piece of media is whole. It errs when the server refuses or is none of the
	// protocol; the connection is then of no use.
	hear(b []byte) (say []byte, joined bool, err error)
}

// Bounds of what an opening keeps.
const (
	maxHead  = 16 << 10
	maxHeard = maxHead + mmsh.FrameHeadSize + mmsh.MaxFrameLength
)

// httpOpening is a GET whose reply's body is the media: joined at its first byte.
type httpOpening struct {
	request []byte
	heard   []byte
	inBody  bool
}

func newHTTP(address, path string) *httpOpening {
	return &httpOpening{request: fmt.Appendf(nil, "GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: bench\r\n\r\n", path, address)}
}

func (o *httpOpening) hello() []byte { return o.request }

func (o *httpOpening) hear(b []byte) ([]byte, bool, error) {
	o.heard = append(o.heard, b...)
	if err := o.head(); err != nil {
		return nil, false, err
	}
	return nil, o.inBody && len(o.heard) > 0, nil
}

var errHead = errors.New("no HTTP reply within the first bytes")

// head takes the reply's head away once it is whole.
func (o *httpOpening) head() error {
	if o.inBody {
		return nil
	}
	end := bytes.Index(o.heard, []byte("\r\n\r\n"))
	if end > maxHead || end < 0 && len(o.heard) > maxHead+3 {
		return errHead
	}
	if end < 0 {
		return nil
	}
	line, _, _ := bytes.Cut(o.heard[:end], []byte("\r\n"))
	if !bytes.HasPrefix(line, []byte("HTTP/1.")) || len(line) < 12 {
		return errHead
	}
	if string(line[9:12]) != "200" {
		return fmt.Errorf("refused: %.60q", line)
	}
	o.heard, o.inBody = o.heard[end+4:], true
	return nil
}

// mmshOpening is a Play request: joined at the first whole data packet.
type mmshOpening struct{ httpOpening }

func newMMSH(address, path string) *mmshOpening {
	return &mmshOpening{httpOpening{request: mmsh.AppendPlayRequest(nil, mmsh.ClientParams{Path: path, Host: address, Agent: mmsh.AgentOld})}}
}

func (o *mmshOpening) hear(b []byte) ([]byte, bool, error) {
	o.heard = append(o.heard, b...)
	if err := o.head(); err != nil || !o.inBody {
		return nil, false, err
	}
	for len(o.heard) >= mmsh.FrameHeadSize {
		h, err := mmsh.ParseFrameHead(o.heard)
		if err != nil {
			return nil, false, err
		}
		if h.Type == 'E' {
			return nil, false, errors.New("the stream has ended")
		}
		if size := mmsh.FrameHeadSize + h.Length; len(o.heard) < size {
			break
		} else if h.Type == 'D' {
			return nil, true, nil
		} else {
			o.heard = o.heard[size:]
		}
	}
	return nil, false, nil
}
