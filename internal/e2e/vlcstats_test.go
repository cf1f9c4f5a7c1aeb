package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// vlcCounters is the answer to "stats" of VLC's remote control.
type vlcCounters struct {
	displayed, lostPictures int
	played, lostBlocks      int
	corrupted, gaps         int
}

// readCounters looks at VLC's counters five times a second until it ends.
func (p *player) readCounters(socket string) {
	rc, err := dialVLC(p.process, socket)
	if err != nil {
		p.lost(err)
		return
	}
	defer func() { _ = rc.Close() }()
	answers := bufio.NewReader(rc)

	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for rate := 0; ; {
		select {
		case <-look.C:
		case <-p.done:
			p.lost(fmt.Errorf("it ended by itself: %v", p.err))
			return
		}
		counters, err := askStats(rc, answers)
		if err == nil && rate == 0 && counters.played > 0 {
			rate, err = askSampleRate(rc, answers)
		}
		if err != nil {
			p.lost(err)
			return
		}
		at := time.Since(p.began)
		p.note(func(r *Result) { r.count(at, counters, rate) })
	}
}

// count adds marks where the counters have moved. What came damaged is a complaint; what was thrown away because it was
// too late, when VLC had it, is told and not judged.
func (r *Result) count(at time.Duration, c vlcCounters, rate int) {
	r.Lost = c.lostPictures + c.lostBlocks
	if r.Complaints = nil; c.corrupted > 0 || c.gaps > 0 {
		r.Complaints = []line{{at, fmt.Sprintf("statistics: %d corrupted, %d discontinuities", c.corrupted, c.gaps)}}
	}
	pictures := time.Duration(c.displayed) * time.Second / frameRate
	if c.displayed > 0 && (len(r.Video) == 0 || r.Video[len(r.Video)-1].media != pictures) {
		r.Video = append(r.Video, mark{at, pictures})
	}
	if c.played == 0 || rate == 0 {
		return
	}
	sound := time.Duration(c.played) * audioBlock * time.Second / time.Duration(rate)
	if len(r.Audio) == 0 || r.Audio[len(r.Audio)-1].media != sound {
		r.Audio = append(r.Audio, mark{at, sound})
	}
}

func dialVLC(p *process, socket string) (net.Conn, error) {
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: socket})
		if err == nil {
			return conn, nil
		}
		if time.Since(p.began) > slack*15*time.Second {
			return nil, fmt.Errorf("remote control: %w", err)
		}
		select {
		case <-poll.C:
		case <-p.done:
			return nil, fmt.Errorf("it ended at once: %v", p.err)
		}
	}
}

// ask sends a command and reads its answer up to the line that holds end.
func ask(rc net.Conn, answers *bufio.Reader, command, end string) (string, error) {
	if err := rc.SetDeadline(time.Now().Add(slack * 5 * time.Second)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintln(rc, command); err != nil {
		return "", fmt.Errorf("asking %s: %w", command, err)
	}
	var answer strings.Builder
	for answer.Len() < 64<<10 {
		text, err := answers.ReadString('\n')
		answer.WriteString(text)
		if err != nil {
			return "", fmt.Errorf("reading the answer to %s: %w", command, err)
		}
		if strings.Contains(text, end) {
			return answer.String(), nil
		}
	}
	return "", errors.New("endless answer to " + command)
}

var statLine = regexp.MustCompile(`(?m)^\| ([a-z ]+?) *: +(\d+)`)

func askStats(rc net.Conn, answers *bufio.Reader) (vlcCounters, error) {
	text, err := ask(rc, answers, "stats", "stats: returned")
	if err != nil {
		return vlcCounters{}, err
	}
	n := map[string]int{}
	for _, m := range statLine.FindAllStringSubmatch(text, -1) {
		n[m[1]], _ = strconv.Atoi(m[2])
	}
	return vlcCounters{
		displayed: n["frames displayed"], lostPictures: n["frames lost"],
		played: n["buffers played"], lostBlocks: n["buffers lost"],
		corrupted: n["demux corrupted"], gaps: n["discontinuities"],
	}, nil
}

var sampleRate = regexp.MustCompile(`Sample rate: (\d+)`)

func askSampleRate(rc net.Conn, answers *bufio.Reader) (int, error) {
	text, err := ask(rc, answers, "info", "end of stream info")
	if err != nil {
		return 0, err
	}
	if m := sampleRate.FindStringSubmatch(text); m != nil {
		return strconv.Atoi(m[1])
	}
	return 0, nil
}
