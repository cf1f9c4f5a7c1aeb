package config

import "time"

// Default returns the configuration of an empty file: no streams, and every
// setting at the value documented in examples/stream-pump.yaml.
func Default() *Config {
	const (
		ms = Duration(time.Millisecond)
		s  = Duration(time.Second)
	)
	return &Config{
		Port:          8086,
		SSLPort:       8089,
		SSLWatch:      10 * s,
		HTTPProxyPort: 8080,
		IDParameter:   "id",
		Hook:          defaultHook(),
		Admin:         Admin{Listen: "127.0.0.1:8087"},
		SNMP:          SNMP{OID: "1.3.6.1.4.1.8072.9999.9999.8086"},
		Log:           Log{Format: "auto", Level: "info"},
		Limits:        Limits{Pumps: Pumps{Count: 64}},
		Pulse:         Pulse{Min: 10 * ms, Max: 200 * ms},
		Burst:         Burst{Max: 2 * s},
		Lag:           Lag{Max: 10 * s},
		Stall:         Stall{Timeout: 30 * s},
		Ring:          Ring{Packets: 8192, Bytes: 32 << 20, Duration: 20 * s},
		Request:       Request{HeadTimeout: 10 * s, HeadSize: 16 << 10, IdleTimeout: 60 * s},
		Push:          Push{IdleTimeout: 60 * s, SessionTimeout: 120 * s},
		Pull:          Pull{Timeout: 15 * s, Backoff: Backoff{Min: 1 * s, Max: 30 * s}},
		Drain:         Drain{Timeout: 10 * s},
		Hold:          30 * s,
		Egress:        EgressAuto,

		SSLClientCertificate: ClientRequest,

		ACME:  defaultACME(),
		House: Membership{Cache: "house"},
	}
}

// defaultStream returns what a stream has where the file is silent.
func defaultStream() Stream { return Stream{Enabled: true, ReturnAfter: Duration(30 * time.Second)} }

// defaultSource returns what a source has where the file is silent.
func defaultSource() Source { return Source{Port: 80, Path: "/"} }
