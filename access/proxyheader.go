package access

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/pires/go-proxyproto"
)

// Sniff tells what a connection begins with.
type Sniff uint8

// What a connection begins with.
const (
	SniffMore  Sniff = iota // cannot be told yet
	SniffOther              // no PROXY header
	SniffProxy              // a PROXY header, perhaps not whole yet
)

// Bounds of a PROXY header, in bytes.
const (
	proxyV1Max  = 107     // with CR LF; the specification's own
	proxyV2Head = 16      // in front of addresses and additions
	proxyV2Max  = 4 << 10 // of addresses and additions
	// MaxProxyHeader is the longest PROXY header that is read.
	MaxProxyHeader = proxyV2Head + proxyV2Max
)

var (
	proxyV1 = []byte("PROXY ")
	proxyV2 = proxyproto.SIGV2
)

// nginx writes IPv4 addresses into TCP6 lines where its two sides are of different kinds.
func init() { proxyproto.V1AcceptIPv4InTCP6 = true }

// SniffProxyHeader looks at the first bytes of a connection.
func SniffProxyHeader(b []byte) Sniff {
	for _, sign := range [][]byte{proxyV1, proxyV2} {
		switch n := min(len(b), len(sign)); {
		case !bytes.Equal(b[:n], sign[:n]):
		case n == len(sign):
			return SniffProxy
		default:
			return SniffMore
		}
	}
	return SniffOther
}

var errProxyLong = errors.New("longer than a PROXY header may be")

// ParseProxyHeader reads a PROXY header, version 1 or 2, at the start of b, which is one
// by [SniffProxyHeader]. It returns the header's length, 0 when it is not whole yet, and
// the client; invalid where the header says that there is none (LOCAL, UNKNOWN), or one
// that has no IP address: then the proxy itself is who it is about. On an error the
// connection is to be closed.
// https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
func ParseProxyHeader(b []byte) (client netip.AddrPort, length int, err error) {
	if length, err = proxyHeaderLength(b); length == 0 || err != nil {
		return client, 0, err
	}
	h, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(b[:length]), length))
	if err != nil {
		return client, 0, fmt.Errorf("reading a PROXY header: %w", err)
	}
	if a, ok := h.SourceAddr.(*net.TCPAddr); ok && !h.Command.IsLocal() {
		client = normal(a.AddrPort())
	}
	return client, length, nil
}

// proxyHeaderLength is how long the header is, 0 when that, or all of it, is not there yet.
func proxyHeaderLength(b []byte) (int, error) {
	if b[0] == proxyV1[0] {
		end := bytes.IndexByte(b[:min(len(b), proxyV1Max)], '\n')
		if end < 0 && len(b) >= proxyV1Max {
			return 0, errProxyLong
		}
		return end + 1, nil
	}
	if len(b) < proxyV2Head {
		return 0, nil
	}
	rest := int(binary.BigEndian.Uint16(b[proxyV2Head-2:]))
	if rest > proxyV2Max {
		return 0, errProxyLong
	}
	if len(b) < proxyV2Head+rest {
		return 0, nil
	}
	return proxyV2Head + rest, nil
}
