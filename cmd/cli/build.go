package cli

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"tombolo/framework/api"
	"tombolo/framework/app"
)

// imageBuilder makes the images of services with build: on this machine's Docker.
// Where the cluster has a registry, it hands over what was built, and what else
// this machine has that no other registry could have. Where the cluster is this
// machine, what was built is where it is needed.
type imageBuilder struct {
	out      io.Writer // for docker's own words
	registry *api.Registry
	machine  bool // the cluster is this machine
	noBuild  bool
}

// build builds, and replaces each image that comes from this machine by its exact
// name, so that a changed image is a changed service.
func (b *imageBuilder) build(ctx context.Context, a *app.App) error {
	done := map[string]string{} // two services may name one image
	for _, name := range slices.Sorted(maps.Keys(a.Services)) {
		s := a.Services[name]
		if s.Build == nil && !b.onlyHere(ctx, s) {
			continue
		}
		if b.registry == nil && !b.machine {
			if !b.noBuild {
				return fmt.Errorf("service %s has build:, and this cluster has no registry that its hosts could pull it from: "+
					"push the image to one that they reach, and name it by image: (with --no-build, image: counts)", name)
			}
			s.Build = nil
			a.Services[name] = s
			continue
		}
		exact, ok := done[s.Image]
		if !ok {
			var err error
			if exact, err = b.image(ctx, a.Name, s); err != nil {
				return fmt.Errorf("service %s: %w", name, err)
			}
			done[s.Image] = exact
		}
		s.Image, s.Build = exact, nil
		a.Services[name] = s
	}
	return nil
}

func (b *imageBuilder) image(ctx context.Context, appName string, s app.Service) (string, error) {
	if s.Build != nil && !b.noBuild {
		fmt.Fprintf(b.out, "building %s\n", s.Image)
		if err := b.make(ctx, s.Image, s.Build); err != nil {
			return "", fmt.Errorf("build: %w", err)
		}
	}
	if b.registry != nil {
		return b.push(ctx, appName, s)
	}
	id, err := b.docker(ctx, "", "image", "inspect", "--format", "{{.Id}}", s.Image)
	if err != nil {
		return "", fmt.Errorf("image %s is not here: %w", s.Image, err)
	}
	return strings.TrimSpace(id), nil
}

// make runs docker build. On a terminal docker shows how it gets on; elsewhere what
// it says matters only when it fails.
func (b *imageBuilder) make(ctx context.Context, image string, build *app.Build) error {
	args := buildArgs(image, build)
	if terminalSize(b.out) == nil {
		_, err := b.docker(ctx, build.Inline, args...)
		return err
	}
	cmd := machineCommand(ctx, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(build.Inline), b.out, b.out
	if err := cmd.Run(); err != nil {
		return cmp.Or(ctx.Err(), fmt.Errorf("docker build: %w", err))
	}
	return nil
}

// onlyHere reports whether an image is on this machine's Docker while the hosts
// have to fetch theirs from the cluster's registry. An image that names a registry
// of its own is left to it.
func (b *imageBuilder) onlyHere(ctx context.Context, s app.Service) bool {
	if b.registry == nil || s.PullPolicy == "always" {
		return false
	}
	ref, err := reference.ParseNormalizedNamed(s.Image)
	if err != nil || reference.Domain(ref) != defaultDomain || strings.HasPrefix(s.Image, defaultDomain+"/") {
		return false
	}
	_, err = b.docker(ctx, "", "image", "inspect", "--format", "{{.Id}}", s.Image)
	return err == nil
}

// defaultDomain is what an image's name means that names no registry.
const defaultDomain = "docker.io"

// digest is in the last line that docker push prints.
var digest = regexp.MustCompile(`digest: (sha256:[0-9a-f]{64})`)

// push hands the image to the registry and returns how the hosts call it.
func (b *imageBuilder) push(ctx context.Context, appName string, s app.Service) (string, error) {
	repository := appName + "/" + s.Name
	target := b.registry.Push + "/" + repository + ":latest"
	if _, err := b.docker(ctx, "", "tag", s.Image, target); err != nil {
		return "", fmt.Errorf("image %s is not here: %w", s.Image, err)
	}
	fmt.Fprintf(b.out, "pushing %s\n", s.Image)
	said, err := b.docker(ctx, "", "push", target)
	if err != nil {
		return "", fmt.Errorf("push: %w", err)
	}
	m := digest.FindStringSubmatch(said)
	if m == nil {
		return "", fmt.Errorf("push %s: docker named no digest", target)
	}
	return b.registry.Pull + "/" + repository + "@" + m[1], nil
}

// buildArgs are the arguments of docker build, which the classic builder knows too.
func buildArgs(image string, b *app.Build) []string {
	args := []string{"build", "-t", image}
	switch {
	case b.Inline != "":
		args = append(args, "-f", "-")
	case b.Dockerfile != "" && filepath.IsAbs(b.Dockerfile):
		args = append(args, "-f", b.Dockerfile)
	case b.Dockerfile != "":
		args = append(args, "-f", filepath.Join(b.Context, b.Dockerfile))
	}
	if b.Target != "" {
		args = append(args, "--target", b.Target)
	}
	if b.NoCache {
		args = append(args, "--no-cache")
	}
	if b.Network != "" {
		args = append(args, "--network", b.Network)
	}
	for _, key := range slices.Sorted(maps.Keys(b.Args)) {
		args = append(args, "--build-arg", key+"="+b.Args[key])
	}
	for _, key := range slices.Sorted(maps.Keys(b.Labels)) {
		args = append(args, "--label", key+"="+b.Labels[key])
	}
	for _, f := range b.Flags {
		args = append(args, "--"+f.Name+"="+f.Value)
	}
	return append(args, b.Context)
}

// docker runs this machine's docker and returns its standard output; what it says
// is shown when it fails.
func (b *imageBuilder) docker(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := machineCommand(ctx, args...)
	cmd.Env = append(os.Environ(), "DOCKER_CLI_HINTS=false")
	cmd.Stdin = strings.NewReader(stdin)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		said := strings.TrimRight(out.String()+complaints.String(), "\n")
		return "", fmt.Errorf("docker %s: %w\n%s", args[0], err, said)
	}
	return out.String(), nil
}
