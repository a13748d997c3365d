package app

import (
	_ "crypto/sha512" // registers sha384 and sha512, which the program links too
	"strings"
	"testing"

	"github.com/distribution/reference"
)

// FuzzImage compares imageFault with the library that Docker uses: both must accept the
// same references.
func FuzzImage(f *testing.F) {
	hex := strings.Repeat("0123456789abcdef", 8)
	for _, image := range []string{
		"", "nginx", "nginx:1.27", "library/nginx", "Nginx", "nginx:A", "ghcr.io/a/b:c@sha256:" + hex[:64],
		"a@sha256:" + hex[:63], "a@sha384:" + hex[:96], "a@sha512:" + hex, "a@md5:" + hex[:32], "a@sha256:" + strings.ToUpper(hex[:64]),
		hex[:64], "sha256:" + hex[:64], "localhost/a", "localhost:5000/a", "[::1]:5000/a", "Foo/bar", "foo/Bar", "a_b.c/d", "a-/b", "a--b/c", "a___b",
		"--privileged", "a b", "a/", "/a", "a//b", "a:", "a:b/c", "docker.io/a", "index.docker.io/a", ":a", "a.", "a:" + hex + "0", "a\n",
		strings.Repeat("a", 247), strings.Repeat("a", 248), "a.b/" + strings.Repeat("a", 255), "a.b/" + strings.Repeat("a", 256), "a/" + strings.Repeat("a", 254),
	} {
		f.Add(image)
	}
	f.Fuzz(func(t *testing.T, image string) {
		fault := imageFault(image)
		if _, err := reference.ParseAnyReference(image); (err == nil) != (fault == "") {
			t.Errorf("image %q: imageFault returns %q, but the library returns the error %v", image, fault, err)
		}
	})
}
