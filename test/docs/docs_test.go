package docs

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const root = "../.."

func TestEveryRelativeLinkLeadsToAFileAndAHeading(t *testing.T) {
	pages := pages(t)
	for name, p := range pages {
		for _, link := range p.links {
			u, err := url.Parse(link)
			if err != nil {
				t.Errorf("%s: the link %q is no URL: %v", name, link, err)
				continue
			}
			if u.Scheme != "" {
				continue // other sites
			}
			target := name
			if u.Path != "" {
				target = path.Join(path.Dir(name), u.Path)
			}
			if !exists(target) {
				t.Errorf("%s: the link %q leads to %s, which does not exist", name, link, target)
			} else if to, ok := pages[target]; ok && u.Fragment != "" && !to.anchors[u.Fragment] {
				t.Errorf("%s: the link %q leads to a heading that %s does not have", name, link, target)
			}
		}
	}
}

func TestEveryPathInCodeExists(t *testing.T) {
	for name, p := range pages(t) {
		for _, code := range p.code {
			for _, file := range treePaths(code, topLevel) {
				if !exists(file) {
					t.Errorf("%s mentions %s, which does not exist", name, file)
				}
			}
		}
	}
}

// commands.md is generated from the commands, so it knows which there are.
func TestEveryMentionedCommandExists(t *testing.T) {
	pages := pages(t)
	commands := pages["docs/commands.md"].anchors
	mentioned := regexp.MustCompile(`(?:^|\s)(?:bin/)?tombolo(?: -[fp] \S+)* ([a-z]+)(?: ([a-z]+))?`)
	for name, p := range pages {
		if name == "docs/commands.md" {
			continue // it also names commands of docker compose, to say that they do not exist
		}
		for _, code := range p.code {
			for _, m := range mentioned.FindAllStringSubmatch(code, -1) {
				if !commands["tombolo-"+m[1]] {
					t.Errorf("%s mentions %q, but docs/commands.md has no command %q", name, strings.TrimSpace(m[0]), m[1])
				} else if group := m[1] == "lab" || m[1] == "daemon"; group && m[2] != "" && !commands["tombolo-"+m[1]+"-"+m[2]] {
					t.Errorf("%s mentions %q, but docs/commands.md has no command %q", name, strings.TrimSpace(m[0]), m[1]+" "+m[2])
				}
			}
		}
	}
}

// A page may name a test as the proof of what it says, and test/e2e/engines.txt lists tests to run:
// they have to be there.
func TestEveryMentionedTestExists(t *testing.T) {
	have := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	walk(t, "_test.go", func(_ string, text string) {
		for _, m := range declared.FindAllStringSubmatch(text, -1) {
			have[m[1]] = true
		}
	})
	mentioned := regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z]\w+`)
	for _, suffix := range []string{".md", "engines.txt"} {
		walk(t, suffix, func(name, text string) {
			for _, test := range mentioned.FindAllString(text, -1) {
				if !have[test] {
					t.Errorf("%s mentions %s, but no such test is in the tree", name, test)
				}
			}
		})
	}
}

// The map names functions and types as package.Name, Type.method or type.method.
func TestEveryNameOnTheMapIsDeclared(t *testing.T) {
	declared := map[string]bool{}
	declaration := regexp.MustCompile(`(?m)^(?:func (?:\([^)]*\) )?|type )(\w+)`)
	walk(t, ".go", func(_, text string) {
		for _, m := range declaration.FindAllStringSubmatch(text, -1) {
			declared[m[1]] = true
		}
	})
	qualified := regexp.MustCompile(`^[A-Za-z]+\.([A-Za-z]+)$`)
	for _, code := range pages(t)["ARCHITECTURE.md"].code {
		m := qualified.FindStringSubmatch(code)
		if m == nil || exists(code) || code == "tombolo.internal" {
			continue
		}
		if !declared[m[1]] {
			t.Errorf("ARCHITECTURE.md mentions %s, but nothing in the tree declares %s", code, m[1])
		}
	}
}

// The map names every package that is part of the program.
func TestEveryPackageIsOnTheMap(t *testing.T) {
	text := read(t, "ARCHITECTURE.md")
	seen := map[string]bool{}
	walk(t, ".go", func(name, _ string) {
		dir := path.Dir(name)
		first, _, _ := strings.Cut(dir, "/")
		if seen[dir] || strings.HasSuffix(dir, "test") || first == "test" || first == "examples" { // fakes and tests
			return
		}
		seen[dir] = true
		if word := regexp.MustCompile(`\b` + regexp.QuoteMeta(path.Base(dir)) + `\b`); !word.MatchString(text) {
			t.Errorf("ARCHITECTURE.md does not mention the package %s", dir)
		}
	})
}

func TestEveryDirectDependencyHasALine(t *testing.T) {
	const name = "docs/decisions/dependencies.md"
	var listed, required []string
	for _, m := range regexp.MustCompile(`(?m)^\| (\S+\.\S+) \| .+ \|$`).FindAllStringSubmatch(read(t, name), -1) {
		listed = append(listed, m[1])
	}
	for _, m := range regexp.MustCompile(`(?m)^(?:require)?\s+(\S+\.\S+) v\S+$`).FindAllStringSubmatch(read(t, "go.mod"), -1) {
		required = append(required, m[1])
	}
	slices.Sort(required)
	if diff := cmp.Diff(required, listed); diff != "" {
		t.Errorf("go.mod's direct dependencies (-) and the sorted lines of %s (+) differ:\n%s", name, diff)
	}
}

func TestEveryDecisionIsInTheIndex(t *testing.T) {
	const folder = "docs/decisions"
	files, err := filepath.Glob(filepath.Join(root, folder, "[0-9]*.md"))
	if err != nil {
		t.Fatal(err)
	}
	title := regexp.MustCompile(`^# (\d+)\. (.+)\n`)
	index := read(t, folder+"/README.md")
	for i, file := range files {
		base := filepath.Base(file)
		text := read(t, folder+"/"+base)
		m := title.FindStringSubmatch(text)
		if m == nil {
			t.Errorf("%s does not begin with a title like %q", base, "# 1. One binary")
			continue
		}
		if n := i + 1; !strings.HasPrefix(base, fmt.Sprintf("%04d-", n)) || m[1] != strconv.Itoa(n) {
			t.Errorf("%s with the title %q is decision %d of the folder: numbers are 1, 2, 3 and so on, in the file's name and in the title", base, m[0], n)
		}
		if line := "| " + m[1] + " | [" + m[2] + "](" + base + ") |"; !strings.Contains(index, line) {
			t.Errorf("the index %s/README.md lacks the line\n%s", folder, line)
		}
		for _, section := range []string{"Context", "Decision", "Consequences", "Rejected"} {
			if !strings.Contains(text, "\n## "+section+"\n") {
				t.Errorf("%s has no section %q", base, section)
			}
		}
	}
}

// The first column of the tables of the page quotes messages: a reader searches for
// them, so they have to be those that the code prints.
func TestTroubleshootingQuotesMessagesOfTheCode(t *testing.T) {
	const name = "docs/troubleshooting.md"
	var code strings.Builder
	walk(t, ".go", func(file, text string) {
		if !strings.HasSuffix(file, "_test.go") && !strings.HasPrefix(file, "test/") {
			code.WriteString(text)
		}
	})
	broken := regexp.MustCompile(`" \+\s*"`) // a literal that goes on in the next line
	printed := broken.ReplaceAllString(code.String(), "")
	quotes := 0
	for line := range strings.Lines(read(t, name)) {
		row, ok := strings.CutPrefix(line, "| ")
		if !ok {
			continue
		}
		symptom, _, _ := strings.Cut(row, " | ")
		for _, m := range inlineCode.FindAllStringSubmatch(symptom, -1) {
			quotes++
			for _, part := range strings.Split(m[1], "…") {
				if !strings.Contains(printed, strings.TrimSpace(part)) {
					t.Errorf("%s quotes the message %q, but no Go file has %q", name, m[1], strings.TrimSpace(part))
				}
			}
		}
	}
	if quotes < 20 {
		t.Errorf("%s quotes %d messages: is the form of its tables another now?", name, quotes)
	}
}

func TestTheReadmeShowsStepsOfTheDemo(t *testing.T) {
	steps := regexp.MustCompile(`(?m)^    == (\d+)\. (.+) \(\d+s\)$`).FindAllStringSubmatch(read(t, "README.md"), -1)
	titles := regexp.MustCompile(`(?m)^\t\t\{"(.+)", d\.\w+\},$`).FindAllStringSubmatch(read(t, "test/demo/main.go"), -1)
	if len(steps) == 0 || len(titles) == 0 {
		t.Fatalf("README.md shows %d steps and test/demo has %d: is their form another now?", len(steps), len(titles))
	}
	for _, step := range steps {
		n, _ := strconv.Atoi(step[1])
		if n < 1 || n > len(titles) || titles[n-1][1] != step[2] {
			t.Errorf("README.md shows step %s of the demo as %q; test/demo/main.go has another one there", step[1], step[2])
		}
	}
}

// Each subject has a page. Two of them are generated, and have tests of their own that
// compare them with the code.
func TestEveryPageIsThereAndLinked(t *testing.T) {
	pages := pages(t)
	linked := map[string]bool{}
	for name, p := range pages {
		for _, link := range p.links {
			file, _, _ := strings.Cut(link, "#")
			linked[path.Join(path.Dir(name), file)] = true
		}
	}
	for _, name := range []string{
		"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md",
		"docs/how-it-works.md", "docs/compose.md", "docs/commands.md", "docs/names-and-dns.md",
		"docs/networking-and-policy.md", "docs/cluster-on-mesos.md", "docs/troubleshooting.md",
	} {
		if _, ok := pages[name]; !ok {
			t.Errorf("%s is missing", name)
		}
	}
	for name := range pages {
		if strings.HasPrefix(name, "docs/") && !linked[name] {
			t.Errorf("no page links to %s: nobody will find it", name)
		}
	}
}

// pages returns every Markdown file of the tree, by its path.
func pages(t *testing.T) map[string]page {
	t.Helper()
	out := map[string]page{}
	walk(t, ".md", func(name, text string) { out[name] = parse(text) })
	if len(out) < 5 {
		t.Fatalf("only %d Markdown files found: is the root right?", len(out))
	}
	return out
}

// walk calls f with the path and the text of each file of the tree whose name ends so.
func walk(t *testing.T, suffix string, f func(name, text string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "bin" || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(p, suffix):
			return nil
		}
		name, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		f(filepath.ToSlash(name), read(t, name))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func exists(name string) bool {
	_, err := os.Stat(filepath.Join(root, name))
	return err == nil
}

// topLevel tells whether the root has such a folder or file. What a build makes is no
// part of the tree.
func topLevel(name string, folder bool) bool {
	info, err := os.Stat(filepath.Join(root, name))
	return err == nil && info.IsDir() == folder && name != "bin" && name != "." && name != ".." && name != ".git"
}
