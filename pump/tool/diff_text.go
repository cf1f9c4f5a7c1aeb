package tool

import (
	"fmt"
	"io"
	"strings"

	"github.com/stream-pump/stream-pump/config"
)

// consequence says what an effect means to those who watch.
var consequence = map[config.Effect]string{
	config.EffectLive:    "at once, nobody notices",
	config.EffectNext:    "for streams and sources that start from then on",
	config.EffectSource:  "the source starts anew, viewers are held meanwhile",
	config.EffectEnd:     "viewers get the end of the stream",
	config.EffectRestart: "cannot change while the pump runs",
}

// effects in the order in which they are told: what disturbs first.
var effects = []config.Effect{config.EffectRestart, config.EffectEnd, config.EffectSource, config.EffectNext, config.EffectLive}

// WriteText writes the report for people: the changes by their effect, the worst first,
// and what a reload would do.
func (r DiffReport) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, effect := range effects {
		r.writeEffect(&b, effect)
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(&b, "Beware: %s.\n", w)
	}
	switch {
	case r.Empty():
		b.WriteString("Nothing differs.\n")
	case r.Refused():
		fmt.Fprintf(&b, "A reload would be refused whole, for %s needs a restart (POST /api/v1/reload?partial=1 applies the rest).\n", strings.Join(r.NeedsRestart, ", "))
	case !r.Running:
		b.WriteString("A reload would apply all of this.\n")
	default:
		fmt.Fprintf(&b, "A reload would apply all of this and disturb %s.\n", viewers(r.Disturbed))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r DiffReport) writeEffect(b *strings.Builder, effect config.Effect) {
	headed := false
	for _, c := range r.Changes {
		if c.Effect != string(effect) {
			continue
		}
		if !headed {
			fmt.Fprintf(b, "%s (%s):\n", effect, consequence[effect])
			headed = true
		}
		b.WriteString("  " + strings.TrimSuffix(c.Text, " (needs a restart)"))
		if r.Running && effect.Disturbs() {
			b.WriteString(", " + viewers(c.Viewers))
		}
		b.WriteString("\n")
	}
	if headed {
		b.WriteString("\n")
	}
}

func viewers(n int) string {
	switch n {
	case 0:
		return "nobody"
	case 1:
		return "1 viewer"
	}
	return fmt.Sprintf("%d viewers", n)
}
