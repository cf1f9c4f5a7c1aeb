package loadtest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/url"
	"strings"

	"github.com/stream-pump/stream-pump/mmsh"
)

// request is what to write once the connection stands, or on a kept one; the viewer then awaits the answer.
func (c *client) request() []byte {
	c.state, c.pending = awaiting, 0
	path := requestPath(c.addressed())
	if c.how.proxy && !c.at.tls {
		path = "http://" + c.at.hostHeader() + path
	}
	if c.how.plain {
		return []byte("GET " + path + " HTTP/1.0\r\nHost: " + c.at.hostHeader() + "\r\nUser-Agent: " + c.agent("loadtest/1.0") +
			"\r\nAccept: */*\r\nConnection: close\r\n\r\n")
	}
	p := mmsh.ClientParams{Path: path, Host: c.at.hostHeader(), Agent: c.agent(mmsh.AgentV9), GUID: c.guid(),
		ClientID: c.session, HasClientID: c.hasSession}
	if !c.how.wmp {
		return mmsh.AppendPlayRequest(nil, p)
	}
	switch c.step {
	case stepDescribe:
		return keptRequest("GET", p, mmsh.DescribeHeader(p), "")
	case stepKeepAlive:
		return keptRequest("POST", p, sessionHeader(p, "xKeepAliveInPause=1"), "")
	case stepLog:
		h := sessionHeader(p, "")
		h.Set("Content-Type", mmsh.TypeLogStats)
		return keptRequest("POST", p, h, logBody)
	}
	return keptRequest("GET", p, mmsh.PlayHeader(p), "")
}

const notHTTP = "an answer that is not HTTP"

const logBody = "<XML><Summary>0.0.0.0 - - - - 0 - 1 200 - - - - - - - - -</Summary><c-status>200</c-status></XML>"

// agent names the viewer, when names were asked for.
func (c *client) agent(product string) string {
	if c.how.id == "" {
		return product
	}
	return product + " " + c.name()
}

// addressed is the address at hand, with the viewer's name as its id when names were asked for. An address that has an
// id keeps it, as a redirect's has, and a signed one stays as it was signed.
func (c *client) addressed() *url.URL {
	u := c.at.url
	if c.how.id == "" || u.Query().Has("id") || u.Query().Has("sig") {
		return u
	}
	named := *u
	if named.RawQuery != "" {
		named.RawQuery += "&"
	}
	named.RawQuery += "id=" + c.name()
	return &named
}

// guid is the same for a viewer in each of its sessions.
func (c *client) guid() string {
	h := fnv.New128a()
	fmt.Fprintf(h, "%s/%d", c.how.id, c.reader.client)
	b := h.Sum(nil)
	return fmt.Sprintf("{%08x-%04x-%04x-%x-%x}", binary.BigEndian.Uint32(b), binary.BigEndian.Uint16(b[4:]),
		binary.BigEndian.Uint16(b[6:]), b[8:10], b[10:])
}

func sessionHeader(p mmsh.ClientParams, token string) http.Header {
	h := http.Header{"User-Agent": {p.Agent}, "Accept": {"*/*"}, "Pragma": {"xClientGUID=" + p.GUID}}
	if token != "" {
		h.Add("Pragma", token)
	}
	if p.HasClientID {
		h.Add("Pragma", fmt.Sprintf("client-id=%d", p.ClientID))
	}
	return h
}

// keptRequest is a request on a connection that may serve another one, as Windows players write it.
func keptRequest(method string, p mmsh.ClientParams, h http.Header, body string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.0\r\nHost: %s\r\n", method, p.Path, p.Host)
	h.Set("Connection", "Keep-Alive")
	if method == http.MethodPost {
		h.Set("Content-Length", fmt.Sprint(len(body)))
	}
	h.Write(&b)
	b.WriteString("\r\n" + body)
	return b.Bytes()
}

// reply looks at the head of an answer.
func (c *client) reply(at int64) next {
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(c.head)), nil)
	if err != nil {
		return c.fail(at, notHTTP)
	}
	c.keep = strings.EqualFold(resp.Header.Get("Connection"), "keep-alive")
	if id, ok := mmsh.ClientIDOf(resp.Header); ok {
		c.session, c.hasSession = id, true
	}
	switch {
	case resp.StatusCode/100 == 3:
		return c.redirect(at, resp.Header.Get("Location"))
	case c.step == stepKeepAlive || c.step == stepLog:
		return c.sideReply(resp)
	case resp.StatusCode != http.StatusOK:
		return c.fail(at, fmt.Sprintf("answer %d %s", resp.StatusCode, mmsh.StatusText(resp.StatusCode)))
	case len(resp.TransferEncoding) > 0:
		return c.fail(at, "a chunked answer although none was offered")
	case mmsh.ReplyKindOf(resp.Header.Get("Content-Type")) == mmsh.ReplyPlaylist:
		return c.swallowBody(resp.ContentLength, true)
	case resp.Header.Get("Content-Type") != "" && mmsh.ReplyKindOf(resp.Header.Get("Content-Type")) == mmsh.ReplyUnknown:
		return c.fail(at, fmt.Sprintf("no stream: Content-Type %.60q", resp.Header.Get("Content-Type")))
	case c.step == stepDescribe:
		return c.swallowBody(resp.ContentLength, false)
	}
	c.state, c.pending = streaming, -1
	c.reader.reset(framedBody, c.opened)
	return goOn
}

// sideReply is the answer to what is beside the stream; one that refuses it is a fault, but no end.
func (c *client) sideReply(resp *http.Response) next {
	if resp.StatusCode/100 != 2 {
		what := map[step]string{stepKeepAlive: "KeepAlive", stepLog: "Log"}[c.step]
		c.reader.fault(nil, "reply", fmt.Sprintf("%s answered %d", what, resp.StatusCode))
	}
	length := resp.ContentLength
	if resp.StatusCode == http.StatusNoContent {
		length = 0
	}
	return c.swallowBody(length, false)
}

func (c *client) swallowBody(length int64, playlist bool) next {
	c.state, c.pending, c.list = swallow, min(length, maxSwallow), playlist
	return goOn
}

// pass takes a piece of a body that is not the stream.
func (c *client) pass(b []byte, at int64) next {
	n := int64(len(b))
	if c.pending >= 0 {
		n = min(n, c.pending)
		c.pending -= n
	}
	if c.list && len(c.text) < mmsh.MaxPlaylist {
		c.text = append(c.text, b[:n]...)
	}
	if c.pending == 0 {
		return c.answered(at)
	}
	return goOn
}

// answered is the end of a body that is not the stream: on to the next step.
func (c *client) answered(at int64) next {
	if c.list {
		urls, err := mmsh.ParsePlaylist(c.text)
		c.list, c.text = false, nil
		if err != nil {
			return c.fail(at, "a playlist without an address")
		}
		return c.redirect(at, urls[0])
	}
	if c.step == stepLog {
		c.state = finished
		return drop
	}
	c.step++
	if c.step == stepKeepAlive && !c.hasSession {
		c.step++
	}
	if c.keep {
		return send
	}
	c.state = dialing
	return again
}

// redirect goes where the server says, a few times.
func (c *client) redirect(at int64, location string) next {
	if c.redirects++; c.redirects > maxRedirects {
		return c.fail(at, "too many redirects")
	}
	u, err := url.Parse(location)
	if err != nil || location == "" {
		return c.fail(at, "a redirect to nowhere")
	}
	t, err := parseTarget(c.at.url.ResolveReference(u).String())
	if err != nil {
		return c.fail(at, "a redirect to something that is no stream")
	}
	t.index = c.home.index
	c.at, c.moved, c.hasSession, c.list, c.text = t, true, false, false, nil
	c.state, c.step = dialing, c.how.first
	return again
}
