package docs

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// page is one Markdown file, split into the parts that the tests look at.
type page struct {
	links   []string        // targets of links and images, as they are written
	anchors map[string]bool // of the headings, without the #
	code    []string        // inline code, and the lines of code blocks
}

var (
	inlineCode = regexp.MustCompile("`([^`]+)`")
	linkTarget = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	htmlTarget = regexp.MustCompile(`(?:src|srcset|href)="([^"]+)"`)
	heading    = regexp.MustCompile(`^#{1,6} +(.+?)\s*$`)
)

// parse reads the text of a page. It knows fenced code blocks and those that are
// indented by four spaces after an empty line.
func parse(text string) page {
	p := page{anchors: map[string]bool{}}
	fenced, indented, empty := false, false, true
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
			continue
		}
		indented = strings.HasPrefix(line, "    ") && (indented || empty)
		empty = strings.TrimSpace(line) == ""
		if fenced || indented {
			p.code = append(p.code, line)
			continue
		}
		p.addProse(line)
	}
	return p
}

func (p *page) addProse(line string) {
	if m := heading.FindStringSubmatch(line); m != nil {
		p.addAnchor(m[1])
	}
	for _, m := range inlineCode.FindAllStringSubmatch(line, -1) {
		p.code = append(p.code, m[1])
	}
	line = inlineCode.ReplaceAllString(line, "")
	for _, pattern := range []*regexp.Regexp{linkTarget, htmlTarget} {
		for _, m := range pattern.FindAllStringSubmatch(line, -1) {
			p.links = append(p.links, m[1])
		}
	}
}

// addAnchor notes the anchor that GitHub gives a heading. The second heading of the
// same text gets -1, the third -2.
func (p *page) addAnchor(title string) {
	base := slug(title)
	anchor := base
	for n := 1; p.anchors[anchor]; n++ {
		anchor = fmt.Sprintf("%s-%d", base, n)
	}
	p.anchors[anchor] = true
}

// slug is GitHub's rule: lower case, spaces become hyphens, and only letters, digits,
// hyphens and underscores stay.
func slug(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		default:
			return -1
		}
	}, title)
}

var pathLike = regexp.MustCompile(`[A-Za-z0-9_.*{},-]+(?:/[A-Za-z0-9_.*{},-]+)*/?`)

// treePaths returns the words of code that look like paths of this tree: they begin
// with one of its top-level folders and a slash, or are one of its top-level files.
// a/{b,c} counts as two paths; a/* and a/... as the folder a.
func treePaths(code string, isTop func(name string, folder bool) bool) []string {
	var out []string
	for _, word := range strings.FieldsFunc(code, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`"'();|=<>`, r) }) {
		if pathLike.FindString(word) != strings.TrimRight(word, ":") {
			continue // a URL, an image's name, a path outside of the tree
		}
		word = strings.TrimRight(word, ",.:")
		first, rest, folder := strings.Cut(word, "/")
		if !isTop(first, folder) || folder && rest == "" && !strings.HasSuffix(word, "/") {
			continue
		}
		out = append(out, expand(word)...)
	}
	return out
}

func expand(word string) []string {
	before, rest, ok := strings.Cut(word, "{")
	list, after, closed := strings.Cut(rest, "}")
	if !ok || !closed {
		for _, wild := range []string{"*", "..."} {
			word = strings.TrimSuffix(word, wild)
		}
		return []string{strings.TrimSuffix(word, "/")}
	}
	var out []string
	for _, choice := range strings.Split(list, ",") {
		out = append(out, expand(before+choice+after)...)
	}
	return out
}
