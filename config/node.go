package config

// MaxFileBytes is how long a configuration file may be.
const MaxFileBytes = 1 << 20

// Bounds of a configuration file.
const (
	maxDepth    = 24      // lists and mappings within each other
	maxNodes    = 100_000 // values, aliases counted as often as they are used
	maxMeasured = 1 << 24 // values that are counted at all
	maxProblems = 200     // printed; beyond that the last one says so
)

// nodeKind tells what a value is, before anyone asks what it should be.
type nodeKind uint8

const (
	kindNull nodeKind = iota
	kindBool
	kindNumber
	kindText
	kindEnv // from the environment: text that may be read as anything scalar
	kindList
	kindMap
)

// String is how a problem names the kind.
func (k nodeKind) String() string {
	return [...]string{"nothing", "true or false", "a number", "text", "text", "a list", "a mapping"}[k]
}

// position is where a value stands; a value of the environment has the variable as
// file and line 0.
type position struct {
	file         string
	line, column int
}

// node is one value of a file, whatever the file's language. Nodes may be shared
// (YAML aliases) and are not changed once the tree is built.
type node struct {
	kind   nodeKind
	at     position
	text   string  // of a scalar, as written (quotes and escapes resolved)
	fields []field // of a mapping, in the order of the file
	items  []*node // of a list
	size   int     // nodes below and including this one
}

// field is one key of a mapping with its value.
type field struct {
	key    string
	at     position
	value  *node
	merged bool // came by a YAML merge key: an explicit one wins
}

func (n *node) get(key string) *node {
	for i := range n.fields {
		if n.fields[i].key == key {
			return n.fields[i].value
		}
	}
	return nil
}

// measure sets n's size from its children's.
func (n *node) measure() *node {
	n.size = 1
	for _, f := range n.fields {
		n.size = min(n.size+f.value.size, maxMeasured)
	}
	for _, c := range n.items {
		n.size = min(n.size+c.size, maxMeasured)
	}
	return n
}
