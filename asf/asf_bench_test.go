package asf

import "testing"

func BenchmarkParsePacket(b *testing.B) {
	for name, spec := range map[string]PacketSpec{"single": strippedSingle(), "multi": strippedMulti()} {
		p := build(b, spec)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParsePacket(p, 5456, video); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSendTime(b *testing.B) {
	p := build(b, strippedSingle())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := SendTime(p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRebase(b *testing.B) {
	p := build(b, strippedMulti())
	b.ReportAllocs()
	for b.Loop() {
		if err := Rebase(p, 5456, 1); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendPacket(b *testing.B) {
	spec, dst := strippedMulti(), make([]byte, 0, 8192)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := AppendPacket(dst, spec); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseHeader(b *testing.B) {
	h := BuildHeader(encoderSpec())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseHeader(h); err != nil {
			b.Fatal(err)
		}
	}
}
