package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/stream-pump/stream-pump/pump/tool"
)

func signCommand() *command {
	var o tool.SignOptions
	var asJSON bool
	return &command{
		name: "sign", args: "[-for 4h] [-id ID] [-ip NETWORK] [-url URL] FILE PATH", what: "make a signed address for a viewer",
		example: "stream-pump sign -for 4h -id alice -url mmsh://pump.example:8086 /etc/stream-pump.yaml studio",
		flags: func(fs *flag.FlagSet) {
			fs.DurationVar(&o.For, "for", 4*time.Hour, "how long the address permits to watch")
			fs.StringVar(&o.ID, "id", "", "the viewer's `id` in another system")
			fs.StringVar(&o.Network, "ip", "", "the address or `network` that the viewer must come from")
			fs.StringVar(&o.Key, "key", "", "`name` of the key (default: the first of signing.keys)")
			fs.StringVar(&o.Base, "url", "", "what stands in front, as in `mmsh://HOST:8086`")
			fs.BoolVar(&asJSON, "json", false, "print JSON")
		},
		run: func(p *program, args []string) error {
			if len(args) != 2 {
				return wrongUsage("wants the configuration and the path of a stream, as in: stream-pump sign stream-pump.yaml studio")
			}
			if o.For <= 0 {
				return wrongUsage("-for %v is not above zero", o.For)
			}
			cfg, err := loadFile(args[0])
			if err != nil {
				return err
			}
			o.Config, o.Stream, o.Now = cfg, args[1], time.Now()
			r, err := tool.Sign(o)
			if errors.Is(err, tool.ErrSign) {
				return wrongUsage("%v", err)
			}
			if err == nil && !r.Needed {
				fmt.Fprintf(p.err, "stream-pump sign: stream %s does not ask for signed addresses (play: {signed: true})\n", args[1])
			}
			return p.report(r, asJSON, err == nil, func() error {
				_, err := fmt.Fprintln(p.out, r.URL)
				return err
			}, err)
		},
	}
}

func hashCommand() *command {
	var bcrypt bool
	var user string
	return &command{
		name: "hash", args: "[-bcrypt | -ha1 USER]", what: "hash a password for the configuration",
		example: "stream-pump hash\n  stream-pump hash -ha1 encoder",
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&bcrypt, "bcrypt", false, "bcrypt instead of argon2id")
			fs.StringVar(&user, "ha1", "", "an HA1, for Digest, for this `user`")
		},
		run: func(p *program, args []string) error {
			if len(args) > 0 || bcrypt && user != "" {
				return wrongUsage("takes no arguments, and one of -bcrypt and -ha1; the password is read from standard input, never from the command line")
			}
			password, err := p.password()
			if err != nil {
				return err
			}
			h, err := tool.Hash(password, bcrypt, user)
			if err != nil {
				return wrongUsage("%v", err)
			}
			_, err = fmt.Fprintln(p.out, h)
			return err
		},
	}
}

// maxPassword is how much of standard input is read for a password, in bytes.
const maxPassword = 4096

// password reads a password: at a terminal without showing it, else the first line of
// standard input.
func (p *program) password() (string, error) {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		line, err := bufio.NewReader(io.LimitReader(os.Stdin, maxPassword)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("reading the password: %w", err)
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	fmt.Fprint(p.err, "Password: ")
	b, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(p.err)
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	return string(b), nil
}
