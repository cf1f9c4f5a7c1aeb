package pump

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// handedOver is the variable by which a program learns what it inherits: a list of
// sockets in JSON. Their descriptors follow each other from firstFile on, and behind
// them is the pipe by which it says that it serves.
const (
	handedOver = "STREAM_PUMP_INTERNAL_SOCKETS"
	firstFile  = 3
)

// upgradeTime is how long a new program may take until it serves.
const upgradeTime = 30 * time.Second

// programFile is where the program was started from. It is looked up early: once the
// file has been replaced, the system would name the deleted one.
var programFile, programFileErr = os.Executable()

// handOver starts the program anew with our listening sockets and waits until it
// serves. On an error the new program is gone and ours has lost nothing.
func (p *Pump) handOver(ctx context.Context) error {
	if programFileErr != nil {
		return fmt.Errorf("finding the program's file: %w", programFileErr)
	}
	said, says, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("making a pipe: %w", err)
	}
	defer func() { _ = said.Close() }()
	cmd, err := p.successor(says)
	if err != nil {
		_ = says.Close()
		return err
	}
	err = cmd.Start()
	for _, f := range cmd.ExtraFiles {
		_ = f.Close()
	}
	if err != nil {
		return fmt.Errorf("starting %s: %w", programFile, err)
	}
	p.log.Info("handing over", slog.Int("pid", cmd.Process.Pid))
	if err := awaitReady(ctx, said); err != nil {
		_ = cmd.Process.Kill()
		return errors.Join(err, cmd.Wait())
	}
	p.yieldTo(cmd.Process.Pid)
	p.log.Info("handed over", slog.Int("pid", cmd.Process.Pid))
	return cmd.Process.Release()
}

// successor is the command that starts the new program. Its ExtraFiles are copies of
// the sockets, and says.
func (p *Pump) successor(says *os.File) (*exec.Cmd, error) {
	cmd := exec.Command(programFile)
	cmd.Args = os.Args // its name may say what it is
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	for _, s := range p.sockets.open {
		f, err := copySocket(s)
		if err != nil {
			for _, f := range cmd.ExtraFiles {
				_ = f.Close()
			}
			return nil, fmt.Errorf("copying the socket of %s: %w", s.Address, err)
		}
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	list, err := json.Marshal(p.sockets.open)
	if err != nil {
		return nil, err
	}
	cmd.ExtraFiles = append(cmd.ExtraFiles, says)
	cmd.Env = append(withoutHandOver(os.Environ()), handedOver+"="+string(list))
	return cmd, nil
}

// copySocket duplicates a listener's descriptor. TCPListener.File would do the same, but
// passing its file on makes the socket blocking, ours included, and then closing it
// would not wake whoever accepts.
func copySocket(s socket) (*os.File, error) {
	raw, err := s.ln.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	if e := raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) }); e != nil {
		return nil, e
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), s.Address), nil
}

func withoutHandOver(env []string) []string {
	var out []string
	for _, e := range env {
		if !strings.HasPrefix(e, handedOver+"=") {
			out = append(out, e)
		}
	}
	return out
}

// readyWord is what the new program writes once it serves.
var readyWord = []byte("ready\n")

// awaitReady waits for the new program's word; it ends without one when that exits.
func awaitReady(ctx context.Context, said *os.File) error {
	_ = said.SetReadDeadline(time.Now().Add(upgradeTime))
	defer context.AfterFunc(ctx, func() { _ = said.SetReadDeadline(time.Now()) })()
	word := make([]byte, len(readyWord))
	if _, err := io.ReadFull(said, word); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return errors.New("the new program ended before it served; its log says why")
		}
		return fmt.Errorf("waiting for the new program: %w", err)
	}
	if !bytes.Equal(word, readyWord) {
		return errors.New("the new program does not know how to take over")
	}
	return nil
}

// inheritSockets takes what the program before handed over, if there was one; ready
// tells it that we serve.
func inheritSockets(env []string) (s *sockets, ready func(), err error) {
	s, ready = &sockets{}, func() {}
	list := ""
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, handedOver+"="); ok {
			list = v
		}
	}
	if list == "" {
		return s, ready, nil
	}
	var in []socket
	if err := json.Unmarshal([]byte(list), &in); err != nil {
		return nil, nil, fmt.Errorf("reading %s: %w", handedOver, err)
	}
	for i, x := range in {
		f := os.NewFile(uintptr(firstFile+i), x.Address)
		ln, err := net.FileListener(f)
		_ = f.Close()
		if err != nil {
			return nil, nil, fmt.Errorf("taking over the socket of %s: %w", x.Address, err)
		}
		tcp, ok := ln.(*net.TCPListener)
		if !ok {
			return nil, nil, fmt.Errorf("taking over the socket of %s: not a TCP listener", x.Address)
		}
		x.ln = tcp
		s.inherited = append(s.inherited, x)
	}
	says := os.NewFile(uintptr(firstFile+len(in)), "ready")
	return s, func() {
		_, _ = says.Write(readyWord)
		_ = says.Close()
		s.closeInherited()
	}, nil
}
