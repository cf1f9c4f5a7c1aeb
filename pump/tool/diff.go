package tool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/pump"
	"github.com/stream-pump/stream-pump/telemetry"
)

// Bounds of asking a running pump.
const (
	diffTime      = 15 * time.Second
	maxDiffAnswer = 16 << 20 // bytes
)

// DiffReport is what a reload with another configuration would do.
type DiffReport struct {
	pump.ReloadInfo
	Running bool `json:"running"` // a pump was asked, so that viewers are known
}

// Refused tells whether a reload would take nothing of it.
func (r DiffReport) Refused() bool { return len(r.NeedsRestart) > 0 }

// Diff compares two configurations that nobody serves.
func Diff(old, new *config.Config) DiffReport {
	return DiffReport{ReloadInfo: pump.DescribeDifference(config.Diff(old, new))}
}

// AskDiff asks the pump whose admin port is at admin (host:port, or an http address) what
// a reload with text would change now, and whom it would disturb. name is that of the
// file, for its ending. What the pump finds wrong with the text comes as
// [config.Problems]; that no pump answers as [ErrNoPump].
func AskDiff(ctx context.Context, admin, name string, text []byte) (DiffReport, error) {
	ctx, cancel := context.WithTimeout(ctx, diffTime)
	defer cancel()
	base, err := adminURL(admin)
	if err != nil {
		return DiffReport{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/api/v1/diff?name="+url.QueryEscape(name), bytes.NewReader(text))
	if err != nil {
		return DiffReport{}, fmt.Errorf("%w: %q is no host and port", ErrAddress, admin)
	}
	req.Header.Set("Content-Type", "application/yaml")
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return DiffReport{}, &noPumpError{admin: telemetry.Redact(base), err: errors.Unwrap(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	return readDiff(telemetry.Redact(base), resp)
}

// ErrNoPump says that nothing answers at an admin port.
var ErrNoPump = errors.New("no pump answers")

type noPumpError struct {
	admin string
	err   error
}

func (e *noPumpError) Error() string { return fmt.Sprintf("no pump answers at %s: %v", e.admin, e.err) }

// Is makes it an [ErrNoPump].
func (e *noPumpError) Is(target error) bool { return target == ErrNoPump }

// Unwrap returns what kept the request from being answered.
func (e *noPumpError) Unwrap() error { return e.err }

// adminURL completes the address of an admin port; one without a host is at loopback.
func adminURL(admin string) (string, error) {
	if strings.HasPrefix(admin, "http://") || strings.HasPrefix(admin, "https://") {
		return strings.TrimRight(admin, "/"), nil
	}
	host, port, err := net.SplitHostPort(admin)
	if err != nil || port == "" {
		return "", fmt.Errorf("%w: %q is no admin port (host:port, as in 127.0.0.1:8087)", ErrAddress, admin)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port), nil
}

// readDiff makes a report of the pump's answer, or the error that it stands for.
func readDiff(base string, resp *http.Response) (DiffReport, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDiffAnswer))
	if err != nil {
		return DiffReport{}, fmt.Errorf("reading the answer of %s: %w", base, err)
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "application/json" {
		return DiffReport{}, fmt.Errorf("%s is no admin port of a stream-pump: it answers %s", base, resp.Status)
	}
	if resp.StatusCode == http.StatusOK {
		r := DiffReport{Running: true}
		if err := json.Unmarshal(body, &r.ReloadInfo); err != nil {
			return DiffReport{}, fmt.Errorf("reading the answer of %s: %w", base, err)
		}
		return r, nil
	}
	var e pump.APIError
	if err := json.Unmarshal(body, &e); err != nil {
		return DiffReport{}, fmt.Errorf("reading the answer of %s: %w", base, err)
	}
	if len(e.Problems) == 0 {
		return DiffReport{}, fmt.Errorf("the pump at %s: %s", base, firstLine(e.Text))
	}
	var problems config.Problems
	for _, p := range e.Problems {
		problems = append(problems, config.Problem{File: p.File, Line: p.Line, Column: p.Column, What: p.What, Right: p.Right})
	}
	return DiffReport{}, problems
}
