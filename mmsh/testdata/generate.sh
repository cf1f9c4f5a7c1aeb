#!/bin/sh
# Makes the binaries of this folder anew: about two seconds of a test picture and a tone.
# Needs ffmpeg (made with 5.1). The results differ in File ID and creation date only.
set -eu
cd "$(dirname "$0")"

make_one() { # muxer, file
	ffmpeg -hide_banner -loglevel error -y -fflags +bitexact \
		-f lavfi -i testsrc=size=64x48:rate=5 -f lavfi -i sine=frequency=440:sample_rate=22050 -t 2 \
		-c:v wmv2 -b:v 32k -g 5 -c:a wmav2 -b:a 24k -ac 1 -packet_size 1600 -f "$1" - >"$2"
}

make_one asf_stream ffmpeg-asf_stream.bin
make_one asf ffmpeg-asf.bin
ls -l -- *.bin
