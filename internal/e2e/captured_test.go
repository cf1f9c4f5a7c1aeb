package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stream-pump/stream-pump/asf"
)

// fixture reads one of the captured headers, which are not part of the repository.
func fixture(t *testing.T, name string) []byte {
	t.Helper()
	folders := []string{"../../../shared/fixtures/mmsh", "../../shared/fixtures/mmsh"}
	if env := os.Getenv("STREAM_PUMP_FIXTURES"); env != "" {
		folders = []string{env, filepath.Join(env, "mmsh")}
	}
	for _, folder := range folders {
		if data, err := os.ReadFile(filepath.Join(folder, name)); err == nil {
			return data
		}
	}
	t.Skipf("%s is not there; STREAM_PUMP_FIXTURES names the folder of the captured headers", name)
	return nil
}

// capturedSize is the packet size of the captured streams, in bytes.
const capturedSize = 8223

// capturedPackets are ASF packets as the captured header announces them: sound, and a key frame every tenth packet.
func capturedPackets(t *testing.T, n int) (packets [][]byte) {
	t.Helper()
	for i := range n {
		ms := uint32(50 * i)
		p, err := asf.AppendPacket(nil, asf.PacketSpec{
			SendTime: ms, Duration: 50, Size: capturedSize, Multiple: true, LengthWidth: 0, PaddingWidth: 2,
			Payloads: []asf.PayloadSpec{
				{Stream: 2, Key: i%10 == 0, Object: uint32(i), ObjectSize: 3000, PresTime: ms + 3000, Data: bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 1500),
					Extension: []byte{1, 1, 0, 0}},
				{Stream: 1, Key: true, Object: uint32(i), ObjectSize: 2000, PresTime: ms + 3000, Data: bytes.Repeat([]byte{^byte(i)}, 2000)},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, p)
	}
	return packets
}

func framed(kind byte, preHeader, payload []byte) []byte {
	b := []byte{'$', kind, 0, 0}
	binary.LittleEndian.PutUint16(b[2:], uint16(len(preHeader)+len(payload)))
	return slices.Concat(b, preHeader, payload)
}

// TestCapturedHeader sends what Expression Encoder 4 once sent, in both directions, and compares what a viewer gets.
func TestCapturedHeader(t *testing.T) {
	pushed, pushedASF := fixture(t, "ee4-push-header-framed.bin"), fixture(t, "ee4-push-header-asf.bin")
	pulled, pulledASF := fixture(t, "ee4-pull-header-framed.bin"), fixture(t, "ee4-pull-header-asf.bin")
	const packets = 600 // 30 seconds, more than the test takes
	const enough = 20
	content := capturedPackets(t, packets)
	t.Parallel()

	preHeader := func(n int) []byte {
		b := binary.LittleEndian.AppendUint32(nil, uint32(n))
		return binary.LittleEndian.AppendUint16(append(b, 0, 0), capturedSize+8)
	}
	pullBody := func(n int) []byte { return framed('D', preHeader(n), content[n%packets]) }
	server := httptest.NewServer(capturedServer(t, pulled, pullBody))
	t.Cleanup(server.Close)
	pump := Pump(t, fmt.Sprintf(`
streams:
  - {name: Windows push, type: mmsh_push, path: windows}
  - {name: Other push, type: mmsh_push, path: other}
  - {name: Pull, type: mmsh_pull, path: pull, source_options: {url: '%s/live'}}`, server.URL))

	windows := pushWindows(t, pump.Port, "windows")
	other, err := pushBody(t, pump.Port, "other")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		path    string
		encoder *rawEncoder
		header  []byte // as sent
		packet  func(n int) []byte
		want    []byte // ASF header
	}{
		{"windows", windows, pushed, func(n int) []byte { return framed('D', nil, content[n%packets]) }, pushedASF},
		{"other", other, pulled, pullBody, pulledASF},
		{"pull", nil, nil, nil, pulledASF},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			if tt.encoder != nil {
				sent := make(chan error, 1)
				go func() {
					if err := tt.encoder.send(tt.header); err != nil {
						sent <- err
						return
					}
					sent <- tt.encoder.sendEvery(t, 50*time.Millisecond, tt.packet)
				}()
				defer func() {
					_ = tt.encoder.conn.Close()
					<-sent
				}()
			}
			pump.WaitState(t, tt.path, "live", 10*time.Second)
			frames := watchRaw(t, pump.Port, tt.path, false, 20*time.Second, func(f []rawFrame) bool { return len(f) > enough })
			if len(frames) <= enough {
				return
			}
			if frames[0].kind != 'H' || !bytes.Equal(frames[0].payload, tt.want) {
				t.Errorf("the viewer's $%c of %d bytes is not the captured header of %d bytes", frames[0].kind, len(frames[0].payload), len(tt.want))
			}
			if frames[0].location != 0 || frames[0].flags != 0x0C {
				t.Errorf("$H has LocationId %d, AFFlags %#x", frames[0].location, frames[0].flags)
			}
			for i, f := range frames[1:] {
				if i == 0 && !keyFrames(t, tt.want)(f) {
					t.Error("the first packet does not begin a key frame")
				}
				if at := slices.IndexFunc(content, func(p []byte) bool { return bytes.Equal(p, f.payload) }); at < 0 {
					t.Errorf("packet %d is none of those sent", i)
				}
				if i > 0 && f.location != frames[i].location+1 {
					t.Errorf("LocationId %d comes after %d", f.location, frames[i].location)
				}
			}
		})
	}
}

// capturedServer answers as Expression Encoder does: no length, close at the end of the Describe reply.
func capturedServer(t *testing.T, header []byte, packet func(n int) []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func(c net.Conn) { _ = c.Close() }(conn)
		kind := "application/vnd.ms.wms-hdr.asfv1"
		play := slices.ContainsFunc(r.Header.Values("Pragma"), func(s string) bool { return bytes.Contains([]byte(s), []byte("xPlayStrm=1")) })
		if play {
			kind = "application/x-mms-framed"
		}
		_, _ = fmt.Fprintf(conn, "HTTP/1.0 200 OK\r\nServer: Rex/12.0.7600.16385\r\nPragma: no-cache, client-id=1, features=\"broadcast,playlist\"\r\nContent-Type: %s\r\n\r\n", kind)
		e := &rawEncoder{conn: conn}
		if err := e.send(header); err == nil && play {
			_ = e.sendEvery(t, 50*time.Millisecond, packet)
		}
	})
}
