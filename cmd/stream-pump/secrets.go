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

	"github.com/stream-pump/stream-pump/internal/cli"
	"github.com/stream-pump/stream-pump/pump/tool"
)

func signCommand() *cli.Command {
	var o tool.SignOptions
	var asJSON bool
	return &cli.Command{
		Name: "sign", Args: "[-for 4h] [-id ID] [-ip NETWORK] [-url URL] FILE PATH", What: "make a signed address for a viewer",
		Example: "stream-pump sign -for 4h -id alice -url mmsh://pump.example:8086 /etc/stream-pump.yaml studio",
		Flags: func(fs *flag.FlagSet) {
			fs.DurationVar(&o.For, "for", 4*time.Hour, "how long the address permits to watch")
			fs.StringVar(&o.ID, "id", "", "the viewer's `id` in another system")
			fs.StringVar(&o.Network, "ip", "", "the address or `network` that the viewer must come from")
			fs.StringVar(&o.Key, "key", "", "`name` of the key (default: the first of signing.keys)")
			fs.StringVar(&o.Base, "url", "", "what stands in front, as in `mmsh://HOST:8086`")
			fs.BoolVar(&asJSON, "json", false, "print JSON")
		},
		Run: func(p *cli.Program, args []string) error {
			if len(args) != 2 {
				return cli.WrongUsage("wants the configuration and the path of a stream, as in: stream-pump sign stream-pump.yaml studio")
			}
			if o.For <= 0 {
				return cli.WrongUsage("-for %v is not above zero", o.For)
			}
			cfg, err := loadFile(args[0])
			if err != nil {
				return err
			}
			o.Config, o.Stream, o.Now = cfg, args[1], time.Now()
			r, err := tool.Sign(o)
			if errors.Is(err, tool.ErrSign) {
				return cli.WrongUsage("%v", err)
			}
			if err == nil && !r.Needed {
				fmt.Fprintf(p.Err, "stream-pump sign: stream %s does not ask for signed addresses (play: {signed: true})\n", args[1])
			}
			return report(p, r, asJSON, err == nil, func() error {
				_, err := fmt.Fprintln(p.Out, r.URL)
				return err
			}, err)
		},
	}
}

func hashCommand() *cli.Command {
	var bcrypt bool
	var user string
	return &cli.Command{
		Name: "hash", Args: "[-bcrypt | -ha1 USER]", What: "hash a password for the configuration",
		Example: "stream-pump hash\n  stream-pump hash -ha1 encoder",
		Flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&bcrypt, "bcrypt", false, "bcrypt instead of argon2id")
			fs.StringVar(&user, "ha1", "", "an HA1, for Digest, for this `user`")
		},
		Run: func(p *cli.Program, args []string) error {
			if len(args) > 0 || bcrypt && user != "" {
				return cli.WrongUsage("takes no arguments, and one of -bcrypt and -ha1; the password is read from standard input, never from the command line")
			}
			password, err := password(p)
			if err != nil {
				return err
			}
			h, err := tool.Hash(password, bcrypt, user)
			if err != nil {
				return cli.WrongUsage("%v", err)
			}
			_, err = fmt.Fprintln(p.Out, h)
			return err
		},
	}
}

// maxPassword is how much of standard input is read for a password, in bytes.
const maxPassword = 4096

// password reads a password: at a terminal without showing it, else the first line of
// standard input.
func password(p *cli.Program) (string, error) {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		line, err := bufio.NewReader(io.LimitReader(os.Stdin, maxPassword)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("reading the password: %w", err)
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	fmt.Fprint(p.Err, "Password: ")
	b, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(p.Err)
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	return string(b), nil
}
