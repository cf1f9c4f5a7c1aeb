package pump

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/telemetry"
)

func (a *admin) reload(w http.ResponseWriter, r *http.Request) {
	a.pump.log.Info("reload", slog.String("operator", r.RemoteAddr))
	info, err := a.pump.ReloadFile(r.URL.Query().Get("partial") == "1")
	a.pump.logReload(info, err)
	answerReload(w, info, err)
}

// diff compares the configuration in the body, or else the pump's file as it is now, with
// the one in force. The pump reads it by itself: with its own environment, and relative
// to its own file, which the new one is to replace.
func (a *admin) diff(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		writeError(w, http.StatusRequestEntityTooLarge, "too_long", "reading the configuration: "+err.Error())
		return
	}
	cfg, err := a.pump.read(r.URL.Query().Get("name"), body)
	if err != nil {
		answerReload(w, ReloadInfo{}, err)
		return
	}
	info, err := a.pump.Compare(cfg)
	answerReload(w, info, err)
}

// read makes a configuration of the text, or of the pump's file if there is no text.
func (p *Pump) read(name string, text []byte) (*config.Config, error) {
	load := p.opts.Load
	if len(bytes.TrimSpace(text)) > 0 {
		if load = nil; p.opts.Parse != nil {
			load = func() (*config.Config, error) { return p.opts.Parse(name, text) }
		}
	}
	if load == nil {
		return nil, ErrNoConfiguration
	}
	return load()
}

// answerReload tells a client what a reload did or would do, or why there is none.
func answerReload(w http.ResponseWriter, info ReloadInfo, err error) {
	var problems config.Problems
	switch {
	case err == nil:
		writeJSON(w, http.StatusOK, info)
	case errors.As(err, &problems):
		e := APIError{Code: "invalid_configuration", Text: "the new configuration is wrong; nothing was changed"}
		for _, x := range problems {
			e.Problems = append(e.Problems, ProblemInfo{File: x.File, Line: x.Line, Column: x.Column, What: x.What, Right: x.Right})
		}
		writeJSON(w, http.StatusUnprocessableEntity, e)
	case errors.Is(err, ErrNeedsRestart):
		writeJSON(w, http.StatusConflict, APIError{Code: "needs_restart", Text: err.Error(), Refused: info.NeedsRestart})
	case errors.Is(err, ErrNoConfiguration):
		writeError(w, http.StatusConflict, "no_configuration", err.Error())
	case errors.Is(err, ErrStopping):
		writeError(w, http.StatusConflict, "stopping", err.Error())
	default:
		writeError(w, http.StatusUnprocessableEntity, "not_applied", telemetry.RedactText(err.Error()))
	}
}
