// Package text cuts texts that may be too long.
package text

import "unicode/utf8"

// Shorten cuts s to at most n bytes, not within a character of UTF-8, and marks that it did with
// "…", which counts. n is 3 at least.
func Shorten(s string, n int) string {
	const mark = "…"
	if len(s) <= n {
		return s
	}
	end := n - len(mark)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + mark
}
