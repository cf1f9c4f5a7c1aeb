package mmsh

import (
	"strings"
	"testing"
)

// Words: a packet type, or E1 for $E with Reason 1.
func TestOrderOfAPush(t *testing.T) {
	for _, c := range []struct {
		name      string
		continued bool
		sequence  string
		ok        bool
	}{
		{"whole push", false, "H D D F D E", true},
		{"MUST-S6 data first", false, "D", false},
		{"MUST-S6 change first", false, "C", false},
		{"MUST-S6 filler first", false, "F", false},
		{"MUST-S6 end first", false, "E", false},
		{"header, end", false, "H E", true},
		{"header, filler, data", false, "H F D", true},
		{"header twice", false, "H H", false},
		{"header, change", false, "H C", false},
		{"MUST-S4 ended by filler", false, "H D F", true},
		{"header in mid-stream", false, "H D H", false},
		{"change in mid-stream", false, "H D C D", true},
		{"MUST-S7 entry end, change", false, "H D E1 C D", true},
		{"MUST-S7 entry end, filler, change", false, "H D E1 F C D", true},
		{"entry end, data", false, "H D E1 D", false},
		{"entry end, filler, data", false, "H D E1 F D", false},
		{"entry end, end", false, "H D E1 E", true},
		{"change twice", false, "H D C C", false},
		{"change, filler, data", false, "H D C F D", true},
		{"after the end", false, "H D E D", false},
		{"end twice", false, "H D E E", false},
		{"MUST-S5 unknown types anywhere", false, "Z H M T Z D P D", true},
		{"MUST-S4 continued with data", true, "D D E", true},
		{"MUST-S4 continued with change", true, "C D", true},
		{"continued with filler", true, "F D", true},
		{"continued with end", true, "E", true},
		{"continued after a lost connection", true, "H D", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var o Order
			if c.continued {
				o = ContinuedOrder()
			}
			words := strings.Fields(c.sequence)
			for i, w := range words {
				reason := uint32(len(w) - 1)
				err := o.Check(w[0], reason)
				if last := i == len(words)-1; !c.ok && last {
					wantErr(t, err, ErrOrder)
				} else if err != nil {
					t.Fatalf("%s: %v", w, err)
				}
			}
		})
	}
}

func TestOrderKeepsItsStateAfterARefusal(t *testing.T) {
	var o Order
	wantErr(t, o.Check(TypeData, 0), ErrOrder)
	if err := o.Check(TypeHeader, 0); err != nil {
		t.Error(err)
	}
	if msg := o.Check(TypeChange, 0).Error(); !strings.Contains(msg, "$C after $H") {
		t.Errorf("message %q does not say where", msg)
	}
}
