package app

import (
	"strings"
	"testing"
)

func TestNearestFindsTheWordThatWasMeant(t *testing.T) {
	words := []string{"ports", "expose", "image", "init"}
	for word, want := range map[string]string{
		"prots": "ports", "port": "ports", "imgae": "image", "imag": "image", "int": "init", "x": "", "exposed_ports": "",
		strings.Repeat("a", 100): "",
	} {
		if got := Nearest(word, words); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}
