package app

import "slices"

// Nearest is the word that was probably meant: at most two changes away, and
// fewer than half of its letters. "" where there is none.
func Nearest(word string, words []string) string {
	slices.Sort(words)
	best, least := "", 3
	for _, w := range words {
		if d := distance(word, w); d < least && 2*d < len(w) {
			best, least = w, d
		}
	}
	return best
}

// distance is Levenshtein's. Words that are absurdly long are far from all.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
