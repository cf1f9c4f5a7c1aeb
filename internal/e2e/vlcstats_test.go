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

// watchVLC looks at VLC's counters five times a second until d after the first picture came out.
func watchVLC(p *process, socket string, d time.Duration) (Result, error) {
	const patience = 20 * time.Second // for the first picture
	r := Result{Player: p.name}
	rc, err := dialVLC(p, socket)
	if err != nil {
		return r, err
	}
	defer func() { _ = rc.Close() }()
	answers := bufio.NewReader(rc)

	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	var atJoin, now vlcCounters
	rate, limit := 0, patience
	for joined := false; time.Since(p.began) < limit; {
		select {
		case <-look.C:
		case <-p.done:
			return r, fmt.Errorf("it ended by itself: %v", p.err)
		}
		if now, err = askStats(rc, answers); err != nil {
			return r, err
		}
		if rate == 0 && now.played > 0 {
			if rate, err = askSampleRate(rc, answers); err != nil {
				return r, err
			}
		}
		r.note(time.Since(p.began), now, rate)
		playing := len(r.Video) > 0 && len(r.Audio) > 0
		if limit == patience && playing {
			limit = time.Since(p.began) + d
		}
		if playing && !joined && time.Since(p.began) > r.Joined() {
			joined, atJoin = true, now
		}
	}
	r.Lost = now.lostPictures - atJoin.lostPictures + now.lostBlocks - atJoin.lostBlocks
	if now.corrupted > 0 || now.gaps > 0 {
		r.Complaints = append(r.Complaints, line{time.Since(p.began),
			fmt.Sprintf("statistics: %d corrupted, %d discontinuities", now.corrupted, now.gaps)})
	}
	return r, nil
}

// note adds marks where the counters have moved.
func (r *Result) note(at time.Duration, c vlcCounters, rate int) {
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
		if time.Since(p.began) > 15*time.Second {
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
	if err := rc.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
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
