package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A built image runs on, and starts again, whatever becomes of the name under which it was built.
// `up` and `down` remove what they no longer need.
func TestABuiltImageStaysAsLongAsItsInstances(t *testing.T) {
	m := withImage(t)
	file := writeApp(t, "name: shop\nservices:\n  web: {build: source, command: [serve, \"80\"]}\n")
	source := filepath.Join(filepath.Dir(file), "source")
	if err := os.Mkdir(source, 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(word string) {
		if err := os.WriteFile(filepath.Join(source, "Dockerfile"), []byte("FROM probe\nENV WORD="+word+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tags := func() []string {
		return strings.Fields(m.sh(t, "docker images --format '{{.Repository}}:{{.Tag}}' --filter 'reference=tombolo.internal/*/*'"))
	}
	write("first")
	m.must(t, "-f", file, "up")
	first := allUp(t, m, "shop", 1)
	m.must(t, "-f", file, "up")
	if again := allUp(t, m, "shop", 1); !slices.Equal(first, again) {
		t.Errorf("up replaced the instance %v by %v although its build has not changed", first, again)
	}
	firstTags := tags()
	if len(firstTags) != 1 || !strings.HasPrefix(firstTags[0], "tombolo.internal/shop/web:") {
		t.Fatalf("the built image has the tags %v, want one like tombolo.internal/shop/web:ID", firstTags)
	}

	write("second")
	m.sh(t, "docker build -q -t shop-web "+source+" && docker rm -f "+first[0]+" && docker image prune -f")
	eventually(t, func() error {
		if now := containers(t, m, "shop"); len(now) != 1 || now[0] == first[0] {
			return fmt.Errorf("the app has the containers %v, want one other than %v", now, first)
		}
		return nil
	})
	allUp(t, m, "shop", 1)

	m.must(t, "-f", file, "up")
	allUp(t, m, "shop", 1)
	if now := tags(); len(now) != 1 || now[0] == firstTags[0] {
		t.Errorf("after a new build the tags are %v, want one other than %v", now, firstTags)
	}

	m.sh(t, "docker rmi -f "+tags()[0]+" shop-web && docker rm -f "+containers(t, m, "shop")[0]+" && docker image prune -f")
	eventually(t, func() error {
		if out := m.must(t, "-p", "shop", "ps"); !strings.Contains(out, "is not on this host any more (to build it again: tombolo up)") {
			return fmt.Errorf("ps does not say that the image is missing:\n%s", out)
		}
		return nil
	})
	m.must(t, "-f", file, "up")
	allUp(t, m, "shop", 1)
	m.must(t, "-p", "shop", "down")
	if left := tags(); len(left) > 0 {
		t.Errorf("down left the tags %v", left)
	}
	m.must(t, "daemon", "stop")
}
