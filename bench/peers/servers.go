//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

const pumpProgram = "stream-pump"

var pump = &peer{
	name: "pump", title: "stream-pump", protocol: "MMSH", container: "asf",
	serve:   servePump,
	opening: func(address string) opening { return newMMSH(address, "/streams/live") },
}

const pumpConfig = `listen: ["%s"]
admin: {listen: "127.0.0.1:0"}
log: {level: warn, format: text}
streams:
  - {name: Bench, type: mmsh_push, path: live}
`

// servePump: everything by default. The source is the pump's own pusher, another process.
func servePump(v *venue) error {
	file, err := write(v.home, "pump.yaml", fmt.Sprintf(pumpConfig, v.address))
	if err != nil {
		return err
	}
	if err := v.launch("stream-pump", nil, v.path(pumpProgram), "run", file); err != nil {
		return err
	}
	return v.launch("stream-pump push", nil, v.path(pumpProgram), "push", "-retry", v.media.file, "http://"+v.address+"/streams/live_push")
}

var vlc = &peer{
	name: "vlc", title: "VLC", protocol: "MMSH", container: "asf", program: "vlc", packages: []string{"vlc-bin"},
	serve:   serveVLC,
	opening: func(address string) opening { return newMMSH(address, "/live") },
}

// serveVLC: VLC reads the file itself, in real time and once: looping, it would send
// another header within the stream.
func serveVLC(v *venue) error {
	return v.launch("VLC", v.as, "vlc", "-I", "dummy", "-q", "--no-interact", "--no-dbus", "--no-stats",
		"--http-host", loopback, "--http-port", strconv.Itoa(v.ports[0]), v.media.file,
		"--sout", fmt.Sprintf("#std{access=mmsh,mux=asfh,dst=%s/live}", v.address))
}

var icecast = &peer{
	name: "icecast", title: "Icecast", protocol: "HTTP, MPEG-TS", container: "ts", program: "icecast2", packages: []string{"icecast2"},
	serve:   serveIcecast,
	opening: func(address string) opening { return newHTTP(address, "/live") },
}

// The queue is eight times as long as by default, so that a busy moment drops nobody.
const icecastConfig = `<icecast>
  <limits>
    <clients>%d</clients><sources>2</sources>
    <queue-size>4194304</queue-size><burst-size>65535</burst-size>
    <client-timeout>30</client-timeout><header-timeout>30</header-timeout><source-timeout>20</source-timeout>
  </limits>
  <authentication>
    <source-password>bench</source-password><relay-password>bench</relay-password>
    <admin-user>admin</admin-user><admin-password>bench</admin-password>
  </authentication>
  <hostname>localhost</hostname>
  <listen-socket><port>%d</port><bind-address>127.0.0.1</bind-address></listen-socket>
  <fileserve>0</fileserve>
  <paths>
    <basedir>%[3]s</basedir><logdir>%[3]s</logdir><webroot>%[3]s</webroot><adminroot>%[3]s</adminroot>
  </paths>
  <logging><accesslog>access.log</accesslog><errorlog>error.log</errorlog><loglevel>2</loglevel><logsize>10000</logsize></logging>
</icecast>
`

func serveIcecast(v *venue) error {
	file, err := write(v.home, "icecast.xml", fmt.Sprintf(icecastConfig, v.viewers+10, v.ports[0], v.home))
	if err != nil {
		return err
	}
	if err := v.launch("Icecast", v.as, "icecast2", "-c", file); err != nil {
		return err
	}
	return v.pushFFmpeg("-content_type", "video/mp2t", "-f", "mpegts", "icecast://source:bench@"+v.address+"/live")
}

var nginxRTMP = &peer{
	name: "nginx", title: "nginx-rtmp", protocol: "RTMP", container: "flv", program: "nginx", packages: []string{"nginx", "libnginx-mod-rtmp"},
	instances: 2,
	serve:     serveNginx,
	opening:   func(address string) opening { return newRTMP(address, "live", "bench") },
	ackEvery:  2_500_000, // half of the window that nginx-rtmp announces
}

// One worker an instance: the module can hand a stream from worker to worker
// (rtmp_auto_push), but not when it is loaded dynamically, as Debian's is: the sockets
// for it are then made too late for the event loop to watch them. So the first instance
// relays to the second. Pings are as good as off: a viewer that discards what it gets
// cannot answer them.
const nginxConfig = `load_module %s;
daemon off;
worker_processes 1;
worker_rlimit_nofile %d;
pid %[3]s/nginx.pid;
error_log %[3]s/error.log warn;
events { worker_connections %[2]d; }
rtmp {
  access_log off;
  server {
    listen 127.0.0.1:%[4]d;
    ping 1h;
    application live { live on; %[5]s }
  }
}
`

func serveNginx(v *venue) error {
	module, err := nginxModule()
	if err != nil {
		return err
	}
	for i, port := range v.ports {
		relay := ""
		if i+1 < len(v.ports) {
			relay = fmt.Sprintf("push rtmp://%s:%d/live;", loopback, v.ports[i+1])
		}
		home, err := v.subfolder(fmt.Sprintf("nginx%d", i))
		if err != nil {
			return err
		}
		file, err := write(home, "nginx.conf", fmt.Sprintf(nginxConfig, module, v.viewers+100, home, port, relay))
		if err != nil {
			return err
		}
		if err := v.launch("nginx", v.as, "nginx", "-p", home, "-e", filepath.Join(home, "error.log"), "-c", file); err != nil {
			return err
		}
	}
	return v.pushFFmpeg("-f", "flv", "rtmp://"+v.address+"/live/bench")
}

func nginxModule() (string, error) {
	for _, dir := range []string{"/usr/lib/nginx/modules", "/usr/share/nginx/modules", "/usr/lib64/nginx/modules"} {
		file := filepath.Join(dir, "ngx_rtmp_module.so")
		if _, err := os.Stat(file); err == nil {
			return file, nil
		}
	}
	return "", fmt.Errorf("nginx has no RTMP module: scripts/install-bench-peers installs libnginx-mod-rtmp")
}

// pushFFmpeg sends the file as it is, in real time, once the server listens.
func (v *venue) pushFFmpeg(target ...string) error {
	if err := v.listening(); err != nil {
		return err
	}
	return v.launch("ffmpeg", nil, append([]string{"ffmpeg", "-nostdin", "-v", "error", "-re", "-i", v.media.file, "-c", "copy"}, target...)...)
}
