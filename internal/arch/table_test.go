package arch

import (
	"fmt"
	"strings"
)

// beside is the tier of packages that stand next to the order: nothing imports them.
const beside = -1

// anything in place of the list of imports lifts the restriction.
const anything = "anything"

// row is one package with what lies below it in the tree (house stands for house/store too).
type row struct {
	tier    int
	name    string // path inside the module
	imports string // names of other rows, separated by blanks; the row's own packages are always allowed
}

// table is the order of the packages. Imports point to lower tiers only.
var table = []row{
	{5, "cmd/stream-pump", "pump config internal/cli internal/disk"},
	{5, "cmd/pump-house", "house pump config telemetry internal/cli internal/disk"},
	{5, "cmd/loadtest", "loadtest"},
	{4, "pump", "server ingest stream access certificate telemetry mmsh asf fleet config ringbuf internal/disk internal/passhash internal/runas internal/systemd internal/testcard"},
	{4, "house", "fleet access telemetry mmsh config internal/passhash"},
	{4, "loadtest", "mmsh asf telemetry internal/uring"},
	{3, "server", "stream ringbuf mmsh access telemetry internal/uring"},
	{3, "ingest", "stream ringbuf mmsh asf access telemetry internal/disk internal/testcard"},
	{3, "fleet", "telemetry"},
	{2, "stream", "ringbuf telemetry"},
	{1, "access", "telemetry internal/passhash"},
	{1, "mmsh", "asf"},
	{1, "config", "internal/disk internal/passhash"},
	{2, "internal/cli", "config telemetry"},
	{1, "certificate", "internal/disk"},
	{0, "ringbuf", ""},
	{0, "asf", ""},
	{0, "telemetry", ""},
	{0, "internal/disk", ""},
	{0, "internal/passhash", ""},
	{0, "internal/runas", ""},
	{0, "internal/systemd", ""},
	{0, "internal/testcard", ""},
	{0, "internal/uring", ""},
	{beside, "bench", anything},
	{beside, "internal/acmetest", anything},
	{beside, "internal/arch", ""},
	{beside, "internal/boardtest", ""},
	{beside, "internal/certtest", ""},
	{beside, "internal/e2e", ""},
	{beside, "internal/linktest", ""},
	{beside, "internal/porttest", ""},
	{beside, "internal/paralleltest", ""},
	{beside, "internal/scripts", ""},
	{beside, "internal/soak", ""},
	{beside, "internal/worldtest", ""},
}

// rowOf finds the row a package belongs to by the longest name that is the package or a folder above it.
func rowOf(pkg string) (row, bool) {
	var found row
	for _, r := range table {
		if (pkg == r.name || strings.HasPrefix(pkg, r.name+"/")) && len(r.name) > len(found.name) {
			found = r
		}
	}
	return found, found.name != ""
}

func (r row) allows(other string) bool {
	if r.imports == anything {
		return true
	}
	for _, name := range strings.Fields(r.imports) {
		if name == other {
			return true
		}
	}
	return false
}

// render gives the table as it stands in the documentation.
func render() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-5s %-18s %s\n", "tier", "package", "may import, of ours")
	for _, r := range table {
		tier, imports := fmt.Sprint(r.tier), r.imports
		if r.tier == beside {
			tier = "-"
		}
		if imports == "" {
			imports = "nothing"
		}
		fmt.Fprintf(&b, "%-5s %-18s %s\n", tier, r.name, imports)
	}
	return b.String()
}
