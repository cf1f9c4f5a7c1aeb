package scripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fakeTests is a package whose tests fail as the environment says: FIRST in the first run, SECOND in the second. Runs
// are told apart by a file, as they are by nothing else.
const fakeTests = `package fake

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	now := "FIRST"
	if _, err := os.Stat("ran"); err == nil {
		now = "SECOND"
	}
	bad = " " + os.Getenv(now) + " "
	_ = os.WriteFile("ran", nil, 0o600)
	code := m.Run()
	if is("Leak") {
		fmt.Println("found unexpected goroutines:")
		code = 1
	}
	os.Exit(code)
}

var bad string

func is(what string) bool { return strings.Contains(bad, " "+what+" ") }

func check(t *testing.T) {
	fmt.Println("run", t.Name())
	if is(t.Name()) {
		t.Error("because it was told to")
	}
	for said, text := range map[string]string{"Race": "WARNING: DATA RACE", "Child": "the race detector found 1 races", "Fatal": "fatal error: all goroutines are asleep"} {
		if is(said) {
			t.Log(text)
		}
	}
}

func TestA(t *testing.T) {
	check(t)
	if is("Panic") {
		panic("as it was told to")
	}
	if is("Late") {
		time.Sleep(time.Minute)
	}
	if is("Exit") {
		os.Exit(3)
	}
	t.Run("Sub", check)
}

func TestAB(t *testing.T) { check(t) }
func TestC(t *testing.T)  { check(t) }
func TestD(t *testing.T)  { check(t) }
`

// A few tests that fail get a second run, alone, and nothing else does: what a second run could hide fails at once.
func TestASecondRunHidesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs; left out with -short")
	}
	script, err := filepath.Abs("../../scripts/test-packages")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, first, second string
		passes              bool
		again               string // the tests that ran again; "" for none
	}{
		{"all pass", "", "", true, ""},
		{"one fails once", "TestA", "", true, "TestA"},
		{"a part of one fails once", "TestA/Sub", "", true, "TestA"},
		{"one fails twice", "TestA", "TestA", false, "TestA"},
		{"three fail once", "TestA TestC TestD", "", true, "TestA TestC TestD"},
		{"of three one fails twice", "TestA TestC TestD", "TestC", false, "TestA TestC TestD"},
		{"four fail", "TestA TestAB TestC TestD", "", false, ""},
		{"a data race, and nothing else", "TestA Race", "", false, ""},
		{"a data race in a program that was run", "TestA Child", "", false, ""},
		{"a fatal error of a program that was run", "TestA Fatal", "", false, ""},
		{"a panic", "Panic", "", false, ""},
		{"a panic beside a failure", "TestAB Panic", "", false, ""},
		{"late", "Late", "", false, ""},
		{"late in the second run", "TestA", "Late", false, "TestA"},
		{"a leaked goroutine, while all pass", "Leak", "", false, ""},
		{"a leaked goroutine beside a failure", "TestA Leak", "", false, ""},
		{"another status", "Exit", "", false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{"go.mod": "module fake\n\ngo 1.24\n", "fake_test.go": fakeTests} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command(script, "-trimpath", "-count", "1", "-timeout", "5s", ".")
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "FIRST="+tt.first, "SECOND="+tt.second, "GOFLAGS=")
			out, err := cmd.CombinedOutput()
			said := string(out)
			if (err == nil) != tt.passes {
				t.Errorf("it ended with %v", err)
			}
			if got := "needed a second run: " + tt.again + " of fake;"; strings.Contains(said, "needed a second run") != (tt.passes && tt.again != "") || tt.passes && tt.again != "" && !strings.Contains(said, got) {
				t.Errorf("it does not say %q where it should", got)
			}
			_, rest, ran := strings.Cut(said, "run once more, alone: ")
			if ran != (tt.again != "") {
				t.Errorf("a second run: %v", ran)
			}
			for _, test := range []string{"TestA", "TestAB", "TestC", "TestD"} {
				if again := strings.Contains(rest, "run "+test+"\n"); again != strings.Contains(" "+tt.again+" ", " "+test+" ") {
					t.Errorf("%s ran again: %v", test, again)
				}
			}
			first, err := os.ReadFile(filepath.Join(dir, "test-out/first-run/fake.txt"))
			if kept := err == nil && strings.Contains(string(first), "--- FAIL"); kept != (tt.again != "") {
				t.Errorf("the first output is kept: %v: %v", kept, err)
			}
			if t.Failed() {
				t.Logf("%s", said)
			}
		})
	}
}

// Of several packages each is judged by itself, and what does not compile fails whatever the others do.
func TestEveryPackageIsJudgedByItself(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs; left out with -short")
	}
	script, err := filepath.Abs("../../scripts/test-packages")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := map[string]string{
		"go.mod": "module fake\n\ngo 1.24\n", "once/fake_test.go": fakeTests, "lasting/a_test.go": "package lasting\n\nimport \"testing\"\n\nfunc TestC(t *testing.T) { t.Error(\"always\") }\n",
		"good/a_test.go": "package good\n\nimport \"testing\"\n\nfunc TestC(*testing.T) {}\n", "broken/a_test.go": "package broken\n\nfunc TestC(\n",
	}
	for name, text := range files {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		packages []string
		failed   string // "" when all is well
	}{
		{[]string{"./once", "./good"}, ""},
		{[]string{"./once", "./good", "./lasting"}, "failed: fake/lasting\n"},
		{[]string{"./broken", "./good", "./once"}, "failed: fake/broken\n"},
		{[]string{"./missing", "./once"}, "missing"},
	} {
		t.Run(strings.Join(tt.packages, " "), func(t *testing.T) {
			_ = os.Remove(filepath.Join(dir, "once/ran"))
			cmd := exec.Command(script, append([]string{"-count", "1"}, tt.packages...)...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "FIRST=TestA", "SECOND=", "GOFLAGS=")
			out, err := cmd.CombinedOutput()
			if said := string(out); (err == nil) != (tt.failed == "") || !strings.Contains(said, tt.failed) || !strings.Contains(said, "needed a second run: TestA of fake/once;") {
				t.Errorf("%v\n%s", err, said)
			}
			if _, err := os.Stat(filepath.Join(dir, "test-out/first-run/once.txt")); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTheScriptWantsPackages(t *testing.T) {
	for name, args := range map[string][]string{"none": nil, "flags only": {"-race"}} {
		if out, err := exec.Command("../../scripts/test-packages", args...).CombinedOutput(); err == nil || !strings.Contains(string(out), "usage:") {
			t.Errorf("%s: %v %s", name, err, out)
		}
	}
}
