package telemetry

import "testing"

// Whatever a stream is called, its label is accepted by the library, the page stays
// well-formed, and the stream can be taken off it again.
func FuzzLabelValue(f *testing.F) {
	for _, seed := range []string{"studio", "a/b", "", `\`, `\\"`, "\"", "\n", "a\xff\x00", `x="1",y="`, "}", "\r\n# TYPE a gauge\n", "\u2028ü"} {
		f.Add(seed, "left")
	}
	f.Fuzz(func(t *testing.T, path, reason string) {
		m := NewMetrics()
		s := m.Stream(path)
		s.ViewersDropped(reason).Inc()
		s.Viewers.Set(7)
		e := strictPage(t, m)
		stream := L("stream", path)
		if v := e.values[seriesID(nameViewers, renderLabels([]Label{stream}))]; v != 7 {
			t.Errorf("gauge is %v", v)
		}
		if v := e.values[seriesID(nameViewersDropped, renderLabels([]Label{stream, L("reason", reason)}))]; v != 1 {
			t.Errorf("counter is %v", v)
		}
		m.RemoveStream(path)
		if rest := own(page(t, m), "stream_pump_"); rest != "" {
			t.Error(rest)
		}
	})
}
