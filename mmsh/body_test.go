package mmsh

import "testing"

func TestDetectFraming(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     Framing
		need     int
		err      error
	}{
		{"MUST-S3 plain ASF", "3026b275", PlainASF, 0, nil},
		{"MUST-S3 Windows push", "24485515 3026b275", PushFraming, 0, nil},
		{"Windows push, B bit", "a4485515 3026b275", PushFraming, 0, nil},
		{"MUST-S3 FFmpeg asf_stream", "24483103 00000000 000c3103 3026b275", PullFraming, 0, nil},
		{"nothing yet", "", FramingUnknown, 4, nil},
		{"one byte of ASF", "30", FramingUnknown, 4, nil},
		{"one byte of framing", "24", FramingUnknown, 8, nil},
		{"framing header only", "24485515", FramingUnknown, 8, nil},
		{"no ASF at 4 yet", "24483103 000000", FramingUnknown, 8, nil},
		{"no ASF at 4", "24483103 00000000", FramingUnknown, 16, nil},
		{"pre-header only", "24483103 00000000 000c3103", FramingUnknown, 16, nil},
		{"half a GUID behind", "24483103 00000000 000c3103 3026", FramingUnknown, 16, nil},
		{"no ASF behind either", "24483103 00000000 000c3103 31", FramingUnknown, 0, ErrUnknownBody},
		{"MUST-S6 data first", "24441f20", FramingUnknown, 0, ErrUnknownBody},
		{"ASF that breaks off", "3026b274", FramingUnknown, 0, ErrUnknownBody},
		{"text", "68656c6c6f", FramingUnknown, 0, ErrUnknownBody},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, need, err := DetectFraming(unhex(c.in))
			wantErr(t, err, c.err)
			if got != c.want || need != c.need {
				t.Errorf("got %v, need %d; want %v, need %d", got, need, c.want, c.need)
			}
		})
	}
}

func TestDetectFramingOfRealBodies(t *testing.T) {
	for name, want := range map[string]Framing{"ffmpeg-asf.bin": PlainASF, "ffmpeg-asf_stream.bin": PullFraming} {
		if got, _, err := DetectFraming(testdata(t, name)); got != want || err != nil {
			t.Errorf("%s: %v, %v; want %v", name, got, err, want)
		}
	}
}

// However the bytes trickle in, the answer is the same and no question is asked twice.
func TestDetectFramingByTrickle(t *testing.T) {
	for _, in := range []string{"3026b275 8e66", "24485515 3026b275 8e66", "24483103 00000000 000c3103 3026b275"} {
		whole := unhex(in)
		want, _, _ := DetectFraming(whole)
		for n := 0; n <= len(whole); n++ {
			got, need, err := DetectFraming(whole[:n])
			if err != nil || (got != want) != (need > n) {
				t.Errorf("%s: %d bytes: %v, need %d, %v", in, n, got, need, err)
			}
		}
	}
}

func TestNamesAreForPeople(t *testing.T) {
	for got, want := range map[string]string{
		PullFraming.String(): "pull framing", Framing(9).String(): "framing 9",
		Packet.String(): "packet", EventKind(9).String(): "event 9",
		PushStart.String(): "push-start", HeadWeb.String(): "head", RequestKind(99).String(): "request 99",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
