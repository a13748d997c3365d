package images

import (
	"io"
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
			Context: "/src", Target: "prod", NoCache: true, Network: "host", Args: map[string]string{"b": "2", "a": "1"},
			Labels: map[string]string{"l": "v"}, Flags: []app.Flag{{Name: "pull", Value: "true"}},
		}, "build -t shop-web --target prod --no-cache --network host --build-arg a=1 --build-arg b=2 --label l=v --pull=true /src"},
	} {
		if got := strings.Join(buildArgs("shop-web", &c.build), " "); got != c.want {
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
		{"stay on a cluster of this machine", "web", nil, false, false, "sha256:feed", "build -t web /src\nimage inspect --format {{.Id}} web\n", ""},
		{"are pushed where the cluster has a registry", "web", &api.Registry{Push: "127.0.0.1:5", Pull: "198.18.0.1:5"}, true, false,
			"198.18.0.1:5/shop/web@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
			"image inspect --format {{.Id}} postgres\nbuild -t web /src\ntag web 127.0.0.1:5/shop/web:latest\npush 127.0.0.1:5/shop/web:latest\n", ""},
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
