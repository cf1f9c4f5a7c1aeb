package fleet

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// gzipFrom is the size from which a body is worth packing.
const gzipFrom = 1 << 10

// Encode returns v as a body, packed if that is worth it, and its Content-Encoding.
func Encode(v any) (body []byte, encoding string, err error) {
	body, err = json.Marshal(v)
	if err != nil {
		return nil, "", fmt.Errorf("encoding %T: %w", v, err)
	}
	if len(body) < gzipFrom {
		return body, "", nil
	}
	var packed bytes.Buffer
	w, _ := gzip.NewWriterLevel(&packed, gzip.BestSpeed) // the level is a valid one
	if _, err = w.Write(body); err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, "", fmt.Errorf("packing %T: %w", v, err)
	}
	return packed.Bytes(), "gzip", nil
}

// Decode reads one JSON value of at most [MaxBody] bytes into v, unpacked if encoding says
// so. Its errors are of type [Error].
func Decode(r io.Reader, encoding string, v any) error {
	switch strings.ToLower(encoding) {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			return Errorf(http.StatusBadRequest, CodeBadMessage, "the body is not gzip")
		}
		defer z.Close()
		r = z
	default:
		return Errorf(http.StatusBadRequest, CodeBadMessage, "content encoding %q is unknown (gzip, or none)", Shorten(encoding))
	}
	b, err := io.ReadAll(io.LimitReader(r, MaxBody+1))
	switch {
	case err != nil:
		return Errorf(http.StatusBadRequest, CodeBadMessage, "the body ends early")
	case len(b) > MaxBody:
		return Errorf(http.StatusRequestEntityTooLarge, CodeTooLarge, "the body is longer than %d bytes", MaxBody)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return Errorf(http.StatusBadRequest, CodeBadMessage, "the body is not as it should be: %s", jsonFault(err))
	}
	return nil
}

// jsonFault tells what is wrong without quoting the body.
func jsonFault(err error) string {
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &kind):
		return fmt.Sprintf("%s holds a %s", Shorten(kind.Field), Shorten(kind.Value))
	case errors.As(err, &syntax):
		return fmt.Sprintf("no JSON at byte %d", syntax.Offset)
	}
	return "no JSON"
}
