package compose

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"

	"tombolo/framework/app"
)

// composePage is made of reference.md.tmpl and keys.txt.
const composePage = "../../docs/compose.md"

func TestComposePageShowsTheTableOfKeys(t *testing.T) {
	want := reference(t)
	if *update {
		if err := os.WriteFile(composePage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(composePage)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is not what keys.txt and reference.md.tmpl make; refresh it with -update (-made +page):\n%s", composePage, diff)
	}
}

// Every key that has a line in keys.txt has a row on the page.
func TestComposePageHasEveryKey(t *testing.T) {
	rows := strings.Count(reference(t), "\n| `")
	lines := 0
	for line := range strings.Lines(keysText) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] != "#" {
			lines++
		}
	}
	if rows != lines {
		t.Errorf("the page has %d rows for the %d keys of keys.txt", rows, lines)
	}
}

// answers are the words of the page for the verdicts of keys.txt.
var answers = map[string]string{
	honour:  "honoured",
	caution: "honoured, with a warning",
	ignore:  "ignored, with a warning",
	refuse:  "refused",
}

func reference(t *testing.T) string {
	t.Helper()
	page, err := template.New("reference.md.tmpl").Funcs(template.FuncMap{"table": table}).ParseFiles("reference.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := page.Execute(&out, nil); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// table lists the keys below a path of keys.txt. At the top of the file it lists the top
// keys only, since the others have tables of their own.
func table(path string) string {
	var p app.Path
	if path != "" {
		p = strings.Split(path, ".")
	}
	var rows strings.Builder
	rows.WriteString("| key | Tombolo | remark |\n|---|---|---|\n")
	addRows(&rows, keyTable().at(p), "", path != "")
	return rows.String()
}

func addRows(rows *strings.Builder, tree *keyTree, above string, deep bool) {
	for _, key := range slices.Sorted(maps.Keys(tree.below)) {
		below := tree.below[key]
		name := strings.TrimPrefix(above+"."+key, ".")
		name = strings.ReplaceAll(strings.ReplaceAll(name, ".[]", "[]"), ".*", ".NAME")
		if below.verdict != "" {
			fmt.Fprintf(rows, "| `%s` | %s | %s |\n", name, answers[below.verdict], below.remark)
		}
		if deep {
			addRows(rows, below, name, deep)
		}
	}
}
