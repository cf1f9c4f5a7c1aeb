// Package config reads the configuration of stream-pump: YAML (JSON is YAML), or
// the config.js of the 2011 program as it is.
//
//	port: 8086
//	streams:
//	  - {name: Studio, type: mmsh_push, path: studio}
//
// Every key but streams has a safe default; [Default] returns them and
// examples/stream-pump.yaml explains them. Unknown keys are errors. All that is
// wrong is reported at once, one line each:
//
//	pump.yaml:7:11: unknown type "mms_pull" (did you mean "mmsh_pull"?)
//
// Every scalar key outside the streams can be set from the environment: its path
// in upper case with underscores, after STREAM_PUMP_. The environment wins over
// the file. STREAM_PUMP_PULSE_MIN=20ms sets pulse.min; lists (listen,
// admin.allow) are separated by commas. A scalar key of a stream is reached by
// the stream's place in the list, from 0: STREAM_PUMP_STREAMS_0_PUBLISH_PASSWORD.
// A variable that begins with STREAM_PUMP_ and names no key is an error, except
// those in [ReservedEnv].
package config
