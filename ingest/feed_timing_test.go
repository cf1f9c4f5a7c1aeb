package ingest

import (
	"bytes"
	"io"
	"testing"

	"github.com/stream-pump/stream-pump/mmsh"
	"github.com/stream-pump/stream-pump/ringbuf"
	"github.com/stream-pump/stream-pump/stream"
)

// endlessBody repeats the packets behind a header n times.
func endlessBody(n int) (body io.Reader, size int64) {
	data := bytes.NewReader(pushData(packets(0, 100)...))
	readers := []io.Reader{bytes.NewReader(pushBody(testHeader(320)))}
	for range n/100 + 1 {
		readers = append(readers, io.NewSectionReader(data, 0, data.Size()))
	}
	return io.MultiReader(readers...), data.Size() / 100
}

// BenchmarkReadBody is what one packet costs from the connection's buffer to the ring.
func BenchmarkReadBody(b *testing.B) {
	s := stream.New(stream.Options{Path: "x", Pool: ringbuf.NewPool(0), EndFrame: mmsh.AppendEnd(nil, 0)})
	f := NewFeed(b.Context(), FeedOptions{Stream: s})
	body, size := endlessBody(b.N)
	b.SetBytes(size)
	b.ReportAllocs()
	b.ResetTimer()
	if _, err := ReadBody(body, f, BodyOptions{Role: mmsh.Push}); err != nil {
		b.Fatal(err)
	}
	f.End()
}
