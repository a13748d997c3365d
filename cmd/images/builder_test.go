package images

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tombolo/cmd/docker/dockertest"
	"tombolo/cmd/errortest"
	"tombolo/framework/api"
	"tombolo/framework/app"
)

func TestBuildArgsAreThoseOfDockerBuild(t *testing.T) {
	for _, c := range []struct {
		build app.Build
		want  string
	}{
		{app.Build{Context: "/src"}, "build -t shop-web /src"},
		{app.Build{Context: "/src", Dockerfile: "d/Dockerfile"}, "build -t shop-web -f /src/d/Dockerfile /src"},
		{app.Build{Context: "/src", Dockerfile: "/other"}, "build -t shop-web -f /other /src"},
		{app.Build{Context: "/src", Inline: "FROM scratch"}, "build -t shop-web -f - /src"},
		{app.Build{
			Context: "/src", Target: "prod", NoCache: true, Network: "host", Args: map[string]string{"b": "2", "a": "1", "HTTP_PROXY": "p"},
			Labels: map[string]string{"l": "v"}, Flags: []app.Flag{{Name: "pull", Value: "true"}},
		}, "a=1 b=2 build -t shop-web --target prod --no-cache --network host --build-arg HTTP_PROXY=p --build-arg a --build-arg b --label l=v --pull=true /src"},
	} {
		args, env := buildArgs("shop-web", &c.build)
		if got := strings.Join(append(env, args...), " "); got != c.want { // as one would type it
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestPrepareBuildsAndPushesImages(t *testing.T) {
	calls := dockertest.Fake(t)
	built := func(image string) app.App {
		return app.App{Name: "shop", Services: map[string]app.Service{
			"web": {Name: "web", Image: image, Build: &app.Build{Context: "/src"}},
			"db":  {Name: "db", Image: "postgres"},
		}}
	}
	for _, c := range []struct {
		name               string
		image              string
		registry           *api.Registry
		elsewhere, noBuild bool
		want               string
		calls              string
		err                string
	}{
		{"stay on a cluster of this machine", "web", nil, false, false, "tombolo.internal/shop/web:feedfacefeed",
			"build -t web /src\nimage inspect --format {{.Id}} web\ntag " + dockertest.ImageID + " tombolo.internal/shop/web:feedfacefeed\n", ""},
		{"are pushed where the cluster has a registry", "web", &api.Registry{Push: "127.0.0.1:5", Pull: "198.18.0.1:5"}, true, false,
			"198.18.0.1:5/shop/web@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
			"image inspect --format {{.Id}} postgres\nbuild -t web /src\ntag web 127.0.0.1:5/shop/web:latest\npush 127.0.0.1:5/shop/web:latest\n" +
				"image rm 127.0.0.1:5/shop/web:latest\n", ""},
		{"cannot reach a cluster without a registry", "web", nil, true, false, "", "", "service web: it has build:, and this cluster has no registry"},
		{"are left to the hosts with --no-build", "web", nil, true, true, "web", "", ""},
		{"do not build", "broken", nil, false, false, "", "build -t broken /src\n", "service web: build: docker build: exit status 1\nstep 2 failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := built(c.image)
			b := Builder{Out: io.Discard, Registry: c.registry, Machine: !c.elsewhere, NoBuild: c.noBuild}
			errortest.Contains(t, b.Prepare(t.Context(), &a), c.err)
			if web := a.Services["web"]; c.err == "" && (web.Image != c.want || web.Build != nil || a.Services["db"].Image != "postgres") {
				t.Errorf("the services are %+v, want the image of web to be %s and postgres unchanged", a.Services, c.want)
			}
			if diff := cmp.Diff(c.calls, calls()); diff != "" {
				t.Errorf("commands of docker (-want +got):\n%s", diff)
			}
		})
	}
}

// Each service has a tag of its own for an image that it shares with another one, so that the
// removal of one service changes nothing about the other.
func TestServicesThatShareAnImageHaveTagsOfTheirOwn(t *testing.T) {
	calls := dockertest.Fake(t)
	a := app.App{Name: "my__shop", Services: map[string]app.Service{
		"web":   {Name: "web", Image: "site", Build: &app.Build{Context: "/src"}},
		"w___r": {Name: "w___r", Image: "site", Build: &app.Build{Context: "/src"}},
	}}
	b := Builder{Out: io.Discard, Machine: true}
	errortest.Contains(t, b.Prepare(t.Context(), &a), "")
	if got, want := a.Services["web"].Image, "tombolo.internal/my__shop/web:feedfacefeed"; got != want {
		t.Errorf("web has the image %s, want %s", got, want)
	}
	if got, want := a.Services["w___r"].Image, "tombolo.internal/my__shop/hex.775f5f5f72:feedfacefeed"; got != want {
		t.Errorf("w___r has the image %s, want %s, which Docker accepts", got, want)
	}
	if n := strings.Count(calls(), "build -t site"); n != 1 {
		t.Errorf("the image was built %d times, want once", n)
	}
}

func TestOldTagsAreRemovedUnlessSomethingUsesThem(t *testing.T) {
	calls := dockertest.Fake(t)
	dockertest.Images(t, "tombolo.internal/shop/web:111111111111", "tombolo.internal/shop/web:222222222222",
		"tombolo.internal/shop/running:333333333333", "tombolo.internal/shop2/web:444444444444")
	a := app.App{Name: "shop", Services: map[string]app.Service{"web": {Image: "tombolo.internal/shop/web:222222222222"}}}
	var out bytes.Buffer
	RemoveOld(t.Context(), a, &out)
	want := "images --format {{.Repository}}:{{.Tag}} --filter reference=tombolo.internal/shop/*\n" +
		"image rm tombolo.internal/shop/web:111111111111\nimage rm tombolo.internal/shop/running:333333333333\n"
	if diff := cmp.Diff(want, calls()); diff != "" {
		t.Errorf("commands of docker (-want +got):\n%s", diff)
	}
	if out.Len() > 0 {
		t.Errorf("RemoveOld complained about an image that a container uses: %s", out.String())
	}
}

// buildx writes the time of a build into an attestation, so that an image that has not changed
// would be another one after each build.
func TestBuildsHaveNoAttestationsUnlessTheUserWantsThem(t *testing.T) {
	const variable = "BUILDX_NO_DEFAULT_ATTESTATIONS"
	for _, c := range []struct {
		name     string
		terminal bool
		user     string
		want     string
	}{
		{"off a terminal", false, "", "1"},
		{"on a terminal", true, "", "1"},
		{"off a terminal, where the user wants them", false, "0", "0"},
		{"on a terminal, where the user wants them", true, "0", "0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			script := dockertest.Script(t, "#!/bin/sh\necho \"$"+variable+"\" > \"$0.value\"\n")
			t.Setenv(variable, c.user)
			if c.user == "" {
				os.Unsetenv(variable) // t.Setenv restores it
			}
			b := Builder{Out: io.Discard, Terminal: c.terminal}
			errortest.Contains(t, b.build(t.Context(), "web", &app.Build{Context: "/src"}), "")
			if got, err := os.ReadFile(script + ".value"); err != nil || strings.TrimSpace(string(got)) != c.want {
				t.Errorf("docker build ran with %s=%q, error %v; want %q", variable, got, err, c.want)
			}
		})
	}
}
