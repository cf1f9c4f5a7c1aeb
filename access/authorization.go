package access

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strings"
)

// ErrNoScheme says that a server asks for a scheme other than Digest and Basic.
var ErrNoScheme = errors.New("server offers neither digest nor basic authentication")

// Authorization answers a server's challenge, the values of its WWW-Authenticate
// lines, with the value of an Authorization header. uri is the request target as
// sent. Digest (SHA-256, then MD5) is preferred to Basic. It returns [ErrNoScheme]
// when nothing offered is known. The result is for one request.
func Authorization(challenges []string, method, uri, user, password string) (string, error) {
	var best challenge
	rank := 0
	for _, line := range challenges {
		for _, c := range parseChallenges(line) {
			if r := schemeRank(c); r > rank {
				best, rank = c, r
			}
		}
	}
	switch rank {
	case 0:
		return "", ErrNoScheme
	case 1:
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password)), nil
	}
	return answerDigest(best, method, uri, user, password), nil
}

// schemeRank is higher for what is better, and 0 for what cannot be answered.
func schemeRank(c challenge) int {
	switch c.scheme {
	case "basic":
		return 1
	case "digest":
		if c.get("nonce") == "" || (c.get("qop") != "" && !offersAuth(c)) {
			return 0
		}
		switch algorithm(c) {
		case "MD5", "MD5-SESS":
			return 2
		case "SHA-256", "SHA-256-SESS":
			return 3
		}
	}
	return 0
}

func algorithm(c challenge) string {
	if a := c.get("algorithm"); a != "" {
		return strings.ToUpper(a)
	}
	return "MD5"
}

func offersAuth(c challenge) bool {
	for q := range strings.SplitSeq(c.get("qop"), ",") {
		if strings.EqualFold(strings.TrimSpace(q), "auth") {
			return true
		}
	}
	return false
}

func answerDigest(c challenge, method, uri, user, password string) string {
	alg := algorithm(c)
	hash := hashMD5
	if strings.HasPrefix(alg, "SHA-256") {
		hash = hashSHA256
	}
	in := digestInput{
		user: user, realm: c.get("realm"), password: password, method: method, uri: uri,
		nonce: c.get("nonce"), cnonce: rand.Text(), sess: strings.HasSuffix(alg, "-SESS"),
	}
	if c.get("qop") != "" {
		in.qop, in.nc = "auth", "00000001"
	}
	parts := []string{
		"username=" + quote(user), "realm=" + quote(in.realm), "nonce=" + quote(in.nonce),
		"uri=" + quote(uri), "response=" + quote(digestAnswer(hash, in)),
	}
	if a := c.get("algorithm"); a != "" {
		parts = append(parts, "algorithm="+a)
	}
	if o, there := c.params["opaque"]; there {
		parts = append(parts, "opaque="+quote(o.value))
	}
	if in.qop != "" {
		parts = append(parts, "qop=auth", "nc="+in.nc)
	}
	if in.qop != "" || in.sess {
		parts = append(parts, "cnonce="+quote(in.cnonce))
	}
	return "Digest " + strings.Join(parts, ", ")
}
