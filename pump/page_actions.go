package pump

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/telemetry"
)

// notice tells on the page what became of a button.
type notice struct {
	Failed bool
	Text   string
	Lines  []string
}

// noticeStays is for how long the page does not renew itself under a notice, in seconds.
const noticeStays = 60

// kickOnPage is the button that cuts a viewer off. It is guarded as the API is.
func (a *admin) kickOnPage(w http.ResponseWriter, r *http.Request) {
	id := r.PostFormValue("viewer")
	if !a.pump.server.Kick(r.Context(), id) {
		a.writePage(w, r, http.StatusNotFound, &notice{Failed: true, Text: "This viewer is not there any more."})
		return
	}
	a.pump.log.Info("viewer cut off by an operator", slog.String("viewer", id), slog.String("operator", r.RemoteAddr))
	a.writePage(w, r, http.StatusOK, &notice{Text: "Viewer " + id + " is cut off."})
}

// reloadOnPage is the button that reads the configuration again.
func (a *admin) reloadOnPage(w http.ResponseWriter, r *http.Request) {
	a.pump.log.Info("reload", slog.String("operator", r.RemoteAddr))
	info, err := a.pump.ReloadFile(false)
	a.pump.logReload(info, err)
	status, n := noticeOf(info, err)
	a.writePage(w, r, status, n)
}

// noticeOf tells what a reload did, or why it did nothing.
func noticeOf(info ReloadInfo, err error) (status int, n *notice) {
	n = &notice{Failed: err != nil}
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		n.Text = "The new configuration is wrong; nothing was changed."
		for _, p := range problems {
			n.Lines = append(n.Lines, p.String())
		}
		return http.StatusUnprocessableEntity, n
	case errors.Is(err, ErrNeedsRestart):
		n.Text = "The new configuration changes what cannot change at run time; nothing was changed."
		for _, c := range info.Changes {
			if c.Effect == string(config.EffectRestart) {
				n.Lines = append(n.Lines, c.Text)
			}
		}
		return http.StatusConflict, n
	case err != nil:
		n.Text = "Not reloaded: " + telemetry.RedactText(err.Error())
		return http.StatusConflict, n
	}
	n.Text = fmt.Sprintf("The configuration was read again: %d changes, %d viewers disturbed.", len(info.Changes), info.Disturbed)
	for _, c := range info.Changes {
		n.Lines = append(n.Lines, c.Text+" ("+effectText[config.Effect(c.Effect)]+")")
	}
	n.Failed, n.Lines = len(info.Warnings) > 0, append(n.Lines, info.Warnings...)
	return http.StatusOK, n
}
