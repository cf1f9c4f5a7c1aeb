package server

// fewFilesEnv tells a copy of the test binary to be the server that runs out of files.
const fewFilesEnv = "STREAM_PUMP_TEST_FEW_FILES"

func fewFilesChild() int { return 0 }
