#!/bin/sh
# Makes the ASF files of this folder with ffmpeg and VLC. Needs both programs;
# VLC refuses to run as root and is then run as another user (VLC_USER, nobody).
# The results are committed: run this only to renew them, then look at the
# facts that fixtures_test.go states about them.
set -eu
cd "$(dirname "$0")"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
chmod 755 "$scratch"

picture='testsrc=size=64x48:rate=10'
sound='sine=frequency=440:sample_rate=22050'

# ffmpeg, live: written to a pipe, so that nothing can be corrected afterwards.
ffmpeg -nostdin -loglevel error -f lavfi -i "$picture" -f lavfi -i "$sound" -t 2 \
	-c:v wmv2 -g 10 -b:v 30k -c:a wmav2 -ac 1 -b:a 24k -packet_size 1024 \
	-f asf - >"$scratch/ffmpeg-live.asf"

# ffmpeg, file: seekable, header completed at the end.
ffmpeg -nostdin -loglevel error -y -f lavfi -i "$picture" -t 1 -an \
	-c:v msmpeg4v3 -g 5 -b:v 20k -packet_size 800 \
	-metadata title='A title' -metadata author='An author' \
	-f asf "$scratch/ffmpeg-file.asf"

# VLC's ASF muxer, fed by ffmpeg.
ffmpeg -nostdin -loglevel error -y -f lavfi -i "$picture" -f lavfi -i "$sound" -t 1 \
	-c:v wmv2 -g 5 -b:v 20k -c:a wmav2 -ac 1 -b:a 24k "$scratch/in.asf"
mkdir "$scratch/vlc"
chmod 777 "$scratch/vlc"
chmod 644 "$scratch/in.asf"
vlc="HOME='$scratch/vlc' cvlc -q --no-interact --play-and-exit '$scratch/in.asf' \
	--sout '#std{access=file,mux=asf,dst=$scratch/vlc/vlc-file.asf}' vlc://quit"
if [ "$(id -u)" = 0 ]; then
	su -s /bin/sh "${VLC_USER:-nobody}" -c "$vlc" >/dev/null 2>&1
else
	sh -c "$vlc" >/dev/null 2>&1
fi

cp "$scratch/ffmpeg-live.asf" "$scratch/ffmpeg-file.asf" "$scratch/vlc/vlc-file.asf" .
chmod 644 ./*.asf
ls -l ./*.asf
