package pump

import (
	"fmt"
	"time"
)

// limitRow is a limit on the page.
type limitRow struct {
	Limit, Of string
	Used, Max string
	Refused   uint64
	Reached   bool
}

// limitRows are the limits that are set, and those that have kept somebody out.
func limitRows(all LimitsInfo) (rows []limitRow) {
	add := func(l LimitInfo, of string) {
		if l.Max == 0 && l.Refused == 0 {
			return
		}
		rows = append(rows, limitRow{
			Limit: l.Limit, Of: of, Used: humanAmount(l.Used, l.Unit), Max: humanAmount(l.Max, l.Unit), Refused: l.Refused, Reached: l.Max > 0 && l.Used >= l.Max,
		})
	}
	for _, l := range all.Limits {
		of := "the pump"
		if l.Per == "address" {
			of = "each address; used: by the busiest"
		}
		add(l, of)
	}
	for _, s := range all.Streams {
		for _, l := range s.Limits {
			if l.Max > 0 { // refusals are of all streams together
				add(l, "stream "+s.Path)
			}
		}
	}
	return rows
}

func humanAmount(n int64, unit string) string {
	switch {
	case n == 0 && unit == "bit/s":
		return "0"
	case unit == "bit/s":
		return humanRate(n)
	case unit == "s":
		return (time.Duration(n) * time.Second).String()
	}
	return fmt.Sprint(n)
}

// uplinkText says what is known of the uplink.
func uplinkText(u UplinkInfo) string {
	switch {
	case u.Mode == uplinkOpen:
		return ""
	case u.CarriesBPS == 0:
		return "What the uplink carries is not known yet: it has not been full."
	case u.Mode == uplinkAuto:
		return "The uplink has been full: it carries " + humanRate(u.CarriesBPS) + "."
	}
	return "The uplink carries " + humanRate(u.CarriesBPS) + ", as configured."
}
