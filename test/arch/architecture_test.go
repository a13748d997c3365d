package arch

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestArchitectureShowsTheTable compares the table that ARCHITECTURE.md shows with
// the one that TestPackagesImportOnlyWhatTheTableAllows enforces. A change of one is a change of both.
func TestArchitectureShowsTheTable(t *testing.T) {
	var enforced []string
	for _, rule := range allowed {
		for _, imported := range rule.imports {
			enforced = append(enforced, rule.pkg+" -> "+imported)
		}
	}
	shown, err := importTable(string(read(t, "ARCHITECTURE.md")))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(enforced)
	slices.Sort(shown)
	if diff := cmp.Diff(enforced, shown); diff != "" {
		t.Errorf("the import table in ARCHITECTURE.md (+) is not the one that test/arch enforces (-); change both:\n%s", diff)
	}
}

// importTable returns the arrows of the table in the section "Layout and allowed
// imports": its indented lines of the form "a, b/{c,d} -> e, f", one arrow a pair.
func importTable(text string) ([]string, error) {
	_, section, ok := strings.Cut(text, "\n## Layout and allowed imports\n")
	if !ok {
		return nil, fmt.Errorf("ARCHITECTURE.md has no section %q", "Layout and allowed imports")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var out []string
	for line := range strings.Lines(section) {
		from, to, ok := strings.Cut(line, " -> ")
		if !ok || !strings.HasPrefix(line, "    ") {
			continue
		}
		for _, pkg := range packages(from) {
			for _, imported := range packages(to) {
				out = append(out, pkg+" -> "+imported)
			}
		}
	}
	return out, nil
}

// packages splits a list at its commas and expands a/{b,c} to a/b and a/c.
func packages(list string) []string {
	var out []string
	depth := 0
	for _, item := range strings.FieldsFunc(list, func(r rune) bool {
		switch r {
		case '{':
			depth++
		case '}':
			depth--
		}
		return depth == 0 && (r == ',' || r == ' ' || r == '\n')
	}) {
		out = append(out, braces(item)...)
	}
	return out
}

func braces(pattern string) []string {
	before, rest, ok := strings.Cut(pattern, "{")
	if !ok {
		return []string{pattern}
	}
	choices, after, _ := strings.Cut(rest, "}")
	var out []string
	for _, choice := range strings.Split(choices, ",") {
		out = append(out, before+strings.TrimSpace(choice)+after)
	}
	return out
}

func TestImportTableReadsListsAndBraces(t *testing.T) {
	text := "# Map\n\n## Layout and allowed imports\n\n" +
		"    cmd/...      -> ...\n" +
		"    a, b/{c,d}   -> e, f/{g,h}\n\n" +
		"Prose with an arrow a -> b is none.\n\n## Next\n\n    x -> y\n"
	got, err := importTable(text)
	want := []string{"cmd/... -> ...", "a -> e", "a -> f/g", "a -> f/h", "b/c -> e", "b/c -> f/g", "b/c -> f/h", "b/d -> e", "b/d -> f/g", "b/d -> f/h"}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v; arrows (-want +got):\n%s", err, diff)
	}
	if _, err := importTable("# Map\n"); err == nil {
		t.Error("a page without the section is not an error")
	}
}
