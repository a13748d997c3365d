package problem

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the generated part of docs/problems.md")

// The part of docs/problems.md above the mark is written by hand.
const (
	referencePage = "../../docs/problems.md"
	referenceMark = "<!-- Generated from linker/problem: go test ./linker/problem -run TestProblemReferenceMatchesTheKinds -update -->\n\n"
)

func TestProblemReferenceMatchesTheKinds(t *testing.T) {
	text, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	intro, got, ok := strings.Cut(string(text), referenceMark)
	if !ok {
		t.Fatalf("%s has no line %q", referencePage, referenceMark)
	}
	want := reference()
	if *update {
		if err := os.WriteFile(referencePage, []byte(intro+referenceMark+want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s differs from the kinds; refresh it with -update (-kinds +page):\n%s", referencePage, diff)
	}
}

// reference is a table of all kinds.
func reference() string {
	var b strings.Builder
	b.WriteString("| name | severity | of | meaning | remedy |\n|---|---|---|---|---|\n")
	for _, k := range Kinds() {
		subject := k.Subject
		if subject == "" {
			subject = "the host"
		} else {
			subject = "each " + subject
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", k.Name, k.Severity, subject, k.Meaning, k.Remedy)
	}
	return b.String()
}
