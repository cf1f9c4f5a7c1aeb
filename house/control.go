package house

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/stream-pump/stream-pump/config"
	"github.com/stream-pump/stream-pump/fleet"
	"github.com/stream-pump/stream-pump/house/registry"
	"github.com/stream-pump/stream-pump/house/roster"
)

// ControlSocket returns where a running house listens to the commands of its own machine:
// whoever may write in the folder may steer the house.
func ControlSocket(data string) string { return filepath.Join(data, "control.sock") }

// Paths at the control socket.
const (
	controlRoster = "/roster"
	controlInvite = "/invite"
	controlPlan   = "/plan"
)

// InviteRequest asks for an invite.
type InviteRequest struct {
	Pump   string `json:"pump"`
	ValidS int64  `json:"valid_s"` // 0: as configured
}

// InviteAnswer brings it.
type InviteAnswer struct {
	Invite  string    `json:"invite"`
	Expires time.Time `json:"expires"`
}

// openControl listens at the socket.
func (h *House) openControl(cfg *config.House) error {
	name := ControlSocket(cfg.Data)
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return fmt.Errorf("making the data folder: %w", err)
	}
	if c, err := net.DialTimeout("unix", name, time.Second); err == nil {
		_ = c.Close()
		return fmt.Errorf("another house runs with the data folder %s", cfg.Data)
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing an old socket: %w", err)
	}
	ln, err := net.Listen("unix", name)
	if err != nil {
		return fmt.Errorf("listening at %s: %w", name, err)
	}
	h.control = ln
	if err := os.Chmod(name, 0o600); err != nil {
		return fmt.Errorf("closing %s to others: %w", name, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+controlRoster, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(h.registry.Export()) })
	mux.HandleFunc("PUT "+controlRoster, h.controlImport)
	mux.HandleFunc("POST "+controlInvite, h.controlInvite)
	mux.HandleFunc("POST "+controlPlan, h.controlPlan)
	h.serve(ln, &http.Server{Handler: mux, ReadHeaderTimeout: headWithin})
	return nil
}

func (h *House) controlImport(w http.ResponseWriter, r *http.Request) {
	f, err := controlFile(w, r)
	if err == nil {
		err = h.registry.ImportRoster(r.Context(), f)
	}
	controlFault(w, err)
}

// controlFile reads the roster file that a command sends.
func controlFile(w http.ResponseWriter, r *http.Request) (*roster.File, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, config.MaxRosterBytes))
	if err != nil {
		return nil, err
	}
	return roster.Parse(r.URL.Query().Get("name"), body)
}

func (h *House) controlPlan(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, config.MaxRosterBytes))
	if err != nil {
		controlFault(w, err)
		return
	}
	p, err := h.Steering().Plan(r.URL.Query().Get("name"), body) // as the API does
	if err != nil {
		controlFault(w, err)
		return
	}
	_ = json.NewEncoder(w).Encode(p) // who asked may have left
}

func (h *House) controlInvite(w http.ResponseWriter, r *http.Request) {
	var q InviteRequest
	if err := fleet.Decode(r.Body, "", &q); err != nil {
		controlFault(w, err)
		return
	}
	a, err := h.invite(r, q)
	if err != nil {
		controlFault(w, err)
		return
	}
	_ = json.NewEncoder(w).Encode(a) // who asked may have left
}

func (h *House) invite(r *http.Request, q InviteRequest) (InviteAnswer, error) {
	ctx, cancel := request(r.Context())
	defer cancel()
	valid := time.Duration(q.ValidS) * time.Second
	return Invite(ctx, h.registry, h.cfg.Load(), q.Pump, valid)
}

// controlFault answers with what is wrong; nil: nothing is.
func controlFault(w http.ResponseWriter, err error) {
	var problems config.Problems
	switch {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case errors.As(err, &problems):
		w.WriteHeader(http.StatusUnprocessableEntity)
		_ = json.NewEncoder(w).Encode(problems) // who asked may have left
	case errors.Is(err, registry.ErrUnknown):
		text(w, http.StatusNotFound, err.Error())
	default:
		text(w, http.StatusInternalServerError, err.Error())
	}
}
