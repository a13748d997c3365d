package docs

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseFindsLinksHeadingsAndCode(t *testing.T) {
	text := "# Two words, `code` and a `sign!`\n" +
		"## Again\n\n## Again\n" +
		"See [a page](a.md#x), ![a picture](b.svg), `[no link](c.md)`.\n" +
		"<img src=\"d.svg\" alt=\"\">\n" +
		"\n    # in a block [no link](e.md)\n" +
		"```\n# also in a block\n[no link](f.md)\n```\n" +
		"A list goes on\n    in an indented line [with a link](g.md).\n"
	p := parse(text)
	if diff := cmp.Diff([]string{"a.md#x", "b.svg", "d.svg", "g.md"}, p.links); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]bool{"two-words-code-and-a-sign": true, "again": true, "again-1": true}, p.anchors); diff != "" {
		t.Errorf("anchors (-want +got):\n%s", diff)
	}
	want := []string{"code", "sign!", "[no link](c.md)", "    # in a block [no link](e.md)", "# also in a block", "[no link](f.md)"}
	if diff := cmp.Diff(want, p.code); diff != "" {
		t.Errorf("code (-want +got):\n%s", diff)
	}
}

func TestTreePathsAreThoseThatBeginAtTheTop(t *testing.T) {
	tops := []string{"cmd/", "linker/", "test/", "README.md"}
	isTop := func(name string, folder bool) bool {
		if folder {
			name += "/"
		}
		return slices.Contains(tops, name)
	}
	for _, c := range []struct {
		code string
		want []string
	}{
		{"linker/plugin", []string{"linker/plugin"}},
		{"linker/", []string{"linker"}},
		{"linker", nil}, // a word, not a path
		{"linker/{ipam,record}, overlay", []string{"linker/ipam", "linker/record"}},
		{"cmd/...", []string{"cmd"}},
		{"linker/*", []string{"linker"}},
		{"sh cmd/x.sh --flag README.md", []string{"cmd/x.sh", "README.md"}},
		{"/var/lib/tombolo", nil},
		{"https://test/cmd/x", nil},
		{"../cmd/x", nil},
		{"shop/web:1", nil},
		{"a (test/e2e) b", []string{"test/e2e"}},
	} {
		if diff := cmp.Diff(c.want, treePaths(c.code, isTop)); diff != "" {
			t.Errorf("paths in %q (-want +got):\n%s", c.code, diff)
		}
	}
}
