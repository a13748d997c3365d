package app

import "slices"

// Nearest returns the word that a misspelt one was probably meant to be: at most two
// letters differ, and fewer than half. It returns "" if there is none. It sorts words.
func Nearest(word string, words []string) string {
	slices.Sort(words)
	nearest, least := "", 3
	for _, w := range words {
		if d := distance(word, w); d < least && 2*d < len(w) {
			nearest, least = w, d
		}
	}
	return nearest
}

// distance is the Levenshtein distance, or 64 for words longer than 64 bytes, so that
// a hostile file cannot make it slow.
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
