package tool

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stream-pump/stream-pump/asf"
	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/pump"
)

// The two goroutines are those of a pool that a dependency makes when it is loaded.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"))
}

const (
	patience   = time.Minute
	packetSize = 512
	packetStep = 10 // ms
)

// testHeader is the header of a file: not live, with a length.
func testHeader(packets int) []byte {
	return asf.BuildHeader(asf.HeaderSpec{
		Flags: asf.FlagSeekable, Preroll: 1000, PacketSize: packetSize, MaxBitrate: 400_000, Title: "Film",
		FileSize: uint64(packets * packetSize), Packets: uint64(packets), PlayDuration: uint64(packets*packetStep+1000) * 10_000,
		DataSize: uint64(asf.DataHeadSize + packets*packetSize), DataPackets: uint64(packets),
		Streams: []asf.StreamSpec{{Number: 1, Kind: asf.Video, FourCC: "WMV2", Width: 320, Height: 240, BitrateBPS: 400_000}},
	})
}

// testPacket is packet i of the film; each tenth begins a key frame.
func testPacket(i int) []byte {
	p, err := asf.AppendPacket(nil, asf.PacketSpec{
		SendTime: uint32(i * packetStep), Duration: packetStep, Size: packetSize,
		Payloads: []asf.PayloadSpec{{
			Stream: 1, Key: i%10 == 0, Object: uint32(i), ObjectSize: 200, PresTime: uint32(i*packetStep) + 1000,
			Data: bytes.Repeat([]byte{byte(i)}, 200),
		}},
	})
	if err != nil {
		panic(err)
	}
	return p
}

// writeFilm makes a file of so many packets with an index behind them.
func writeFilm(t testing.TB, packets int) string {
	t.Helper()
	b := testHeader(packets)
	for i := range packets {
		b = append(b, testPacket(i)...)
	}
	b = append(b, asf.GUIDSimpleIndex[:]...)
	b = append(b, make([]byte, 700)...)
	file := filepath.Join(t.TempDir(), "film.asf")
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// startPump serves a configuration until the end of the test.
func startPump(t *testing.T, streams string) *pump.Pump {
	t.Helper()
	cfg, err := config.Parse("pump.yaml", []byte("listen: [127.0.0.1:0]\nadmin: {listen: 'off'}\ndrain: {timeout: 1s}\nstreams: "+streams+"\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := pump.Start(cfg, pump.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop(t.Context()) })
	return p
}

func streamOf(t *testing.T, p *pump.Pump) pump.StreamInfo {
	t.Helper()
	all := p.Streams()
	if len(all) != 1 {
		t.Fatalf("%d streams", len(all))
	}
	return all[0]
}

// host answers connections, one after the other, each with the next script, and yields
// its address.
func host(t *testing.T, scripts ...func(net.Conn, *bufio.Reader)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		for _, script := range scripts {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(patience))
			script(conn, bufio.NewReader(conn))
			_ = conn.Close()
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		done.Wait()
	})
	return ln.Addr().String()
}

// says reads a request and answers with these bytes.
func says(b []byte) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, br *bufio.Reader) {
		if _, err := http.ReadRequest(br); err == nil {
			_, _ = c.Write(b)
		}
	}
}

func answers(status int, contentType, body string) []byte {
	return fmt.Appendf(nil, "HTTP/1.0 %d X\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", status, contentType, len(body), body)
}

// described answers a Describe with the header of a live stream.
func described() []byte {
	frame := mmsh.AppendHeader(nil, asf.SetLive(testHeader(0)))
	return append(mmsh.AppendDescribeHead(nil, mmsh.ReplyParams{ClientID: 7, ContentLength: len(frame)}), frame...)
}

// playing begins the answer to a Play.
func playing() []byte {
	return mmsh.AppendHeader(mmsh.AppendPlayHead(nil, mmsh.ReplyParams{ClientID: 7}), asf.SetLive(testHeader(0)))
}
