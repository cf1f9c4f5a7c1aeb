package server

import (
	"net/http"
	"strings"
	"testing"
	"unsafe"
)

// Ten thousand viewers who call themselves by 16 KiB each must not cost 160 MB.
func TestAgentsAreKeptShort(t *testing.T) {
	srv := routing(t)
	agent := strings.Repeat("NSPlayer/", readBuffer/9)
	r := &request{Request: &http.Request{Header: http.Header{"User-Agent": {agent}}}, visit: &Visit{}}
	seat, err := srv.newSeat(r, srv.opts.Streams.Lookup("x"))
	if err != nil {
		t.Fatal(err)
	}
	defer seat.ticket.Release()
	if seat.agent != agent[:maxAgent] {
		t.Errorf("kept %d bytes: %.40q", len(seat.agent), seat.agent)
	}
	if unsafe.StringData(seat.agent) == unsafe.StringData(agent) {
		t.Error("the whole agent stays in memory for the beginning of it")
	}
}
