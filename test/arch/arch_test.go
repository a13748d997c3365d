package arch

import (
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module   = "tombolo"
	root     = "../.."
	maxLines = 400
)

// allowed is the import table: a pattern of packages, and patterns of our packages
// that these may import. The first pattern that matches a package decides; a package
// that matches none may import nothing of ours. The fakes of x, in x/xtest, may import
// x and everything that x may import. ARCHITECTURE.md shows the same table.
var allowed = []struct {
	pkg     string
	imports []string
}{
	{"cmd/...", []string{"..."}},
	{"test/...", []string{"..."}},
	{"framework", []string{"framework/...", "linker/record", "linker/api"}},
	{"framework/compose", []string{"framework/app", "linker/record"}},
	{"framework/place", []string{"framework/app", "linker/record"}},
	{"framework/deploy", []string{"framework/app", "linker/record"}},
	{"framework/offers", []string{"framework/place", "linker/record"}},
	{"framework/store", []string{"framework/app", "linker/record"}},
	{"framework/api", []string{"framework/app", "linker/record"}},
	{"framework/metrics", []string{"framework/api"}},
	{"framework/mesos", []string{"framework/mesos/..."}},
	{"framework/local/cluster", []string{"framework/local/master", "framework/local/agent"}},
	{"framework/local/master", []string{"framework/local", "framework/mesos/wire"}},
	{"framework/local/agent", []string{"framework/local"}},
	{"linker", []string{"linker/...", "overlay/...", "dns"}},
	{"overlay", []string{"overlay/..."}},
	{"linker/plugin", []string{"linker/attach"}},
	{"linker/attach", []string{"linker/ipam", "linker/record", "overlay"}},
	{"linker/contest", []string{"overlay"}},
	{"linker/block", []string{"linker/ipam", "linker/record"}},
	{"linker/record", []string{"linker/record/recordpb"}},
	{"linker/catalog", []string{"linker/record"}},
	{"linker/reach", []string{"linker/record"}},
	{"linker/api", []string{"linker/inspect", "linker/problem", "linker/record"}},
	{"linker/metrics", []string{"linker/api", "linker/problem", "linker/record"}},
	{"linker/explain", []string{"linker/inspect", "linker/problem", "linker/reach", "linker/record"}},
	{"linker/hostport", []string{"linker/problem", "linker/record"}},
	{"linker/docker", []string{"linker/record"}},
	{"dns", []string{"linker/record"}},
}

func TestPackagesImportOnlyWhatTheTableAllows(t *testing.T) {
	for _, f := range goFiles(t) {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		for _, imported := range imports(t, f) {
			ours, ok := strings.CutPrefix(imported, module+"/")
			if ok && !mayImport(path.Dir(f), ours) {
				t.Errorf("%s imports %s: the import table in test/arch does not allow it", f, imported)
			}
		}
	}
}

func mayImport(pkg, imported string) bool {
	if matches("internal/...", imported) {
		return !matches("internal/...", pkg) // every package may use these, and they use nothing of ours
	}
	if dir, base := path.Split(pkg); base == path.Base(dir)+"test" {
		pkg = strings.TrimSuffix(dir, "/")
		if imported == pkg {
			return true
		}
	}
	for _, rule := range allowed {
		if matches(rule.pkg, pkg) {
			return slices.ContainsFunc(rule.imports, func(p string) bool { return matches(p, imported) })
		}
	}
	return false
}

// pure are the packages that import the standard library and packages of ours only.
var pure = []string{"framework/app", "framework/place", "framework/deploy"}

func TestPurePackagesImportNoThirdParty(t *testing.T) {
	for _, f := range goFiles(t) {
		if !slices.Contains(pure, path.Dir(f)) || strings.HasSuffix(f, "_test.go") {
			continue
		}
		for _, imported := range imports(t, f) {
			if host, _, _ := strings.Cut(imported, "/"); strings.Contains(host, ".") {
				t.Errorf("%s imports %s: package %s may import the standard library and ours only", f, imported, path.Dir(f))
			}
		}
	}
}

// imports lists what a file imports.
func imports(t *testing.T, f string) (paths []string) {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, f), nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range tree.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value)
		paths = append(paths, imported)
	}
	return paths
}

// matches knows exact paths and trailing "...", as the go command does.
func matches(pattern, pkg string) bool {
	prefix, wild := strings.CutSuffix(pattern, "...")
	if !wild {
		return pattern == pkg
	}
	return prefix == "" || pkg == strings.TrimSuffix(prefix, "/") || strings.HasPrefix(pkg, prefix)
}

func TestPatternsMatchAsThoseOfTheGoCommand(t *testing.T) {
	for _, c := range []struct {
		pattern, pkg string
		want         bool
	}{
		{"dns", "dns", true},
		{"dns", "dns/x", false},
		{"cmd/...", "cmd", true},
		{"cmd/...", "cmd/tombolo", true},
		{"cmd/...", "cmdx", false},
		{"...", "linker/record", true},
	} {
		if got := matches(c.pattern, c.pkg); got != c.want {
			t.Errorf("matches(%q, %q) = %v", c.pattern, c.pkg, got)
		}
	}
}

func TestEveryPackageHasADocComment(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range goFiles(t) {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, f), nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		dir := path.Dir(f)
		documented[dir] = documented[dir] || tree.Doc != nil
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package %s has no doc comment", dir)
		}
	}
}

func TestNoFileIsTooLong(t *testing.T) {
	for _, f := range goFiles(t) {
		b := read(t, f)
		if strings.HasSuffix(f, "_test.go") || strings.HasSuffix(f, ".pb.go") {
			continue
		}
		if n := strings.Count(string(b), "\n"); n > maxLines {
			t.Errorf("%s has %d lines; more than %d are more than one idea", f, n, maxLines)
		}
	}
}

func TestEveryFileIsFormatted(t *testing.T) {
	for _, f := range goFiles(t) {
		b := read(t, f)
		want, err := format.Source(b)
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		if string(want) != string(b) {
			t.Errorf("%s is not gofmt-ed", f)
		}
	}
}

// TestOnlyLinuxFilesUseNetlink holds kernel access to files that say so by their name.
func TestOnlyLinuxFilesUseNetlink(t *testing.T) {
	for _, f := range goFiles(t) {
		if strings.HasSuffix(f, "_linux.go") || strings.HasSuffix(f, "_linux_test.go") || strings.HasPrefix(f, "test/bench/") {
			continue
		}
		for _, p := range imports(t, f) {
			if p == "github.com/vishvananda/netlink" {
				t.Errorf("%s imports %s but is not named _linux.go", f, p)
			}
		}
	}
}

func goFiles(t *testing.T) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git" || d.Name() == "bin") {
			return fs.SkipDir
		}
		if strings.HasSuffix(p, ".go") {
			rel, err := filepath.Rel(root, p)
			if err != nil {
				return err
			}
			out = append(out, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 10 {
		t.Fatalf("only %d Go files found: is the root right?", len(out))
	}
	return out
}

func read(t *testing.T, f string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, f))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
