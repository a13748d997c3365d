// Package images prepares the images of an app before it is submitted: it builds those
// of services with build: on this machine's Engine, pushes images that only this machine
// has to the cluster's registry, and replaces each name by a digest or by a tag that holds
// the image's ID, so that a changed image is a changed service. Later it removes the tags of
// earlier images. It starts no containers. Start reading at Builder.Prepare.
package images

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"tombolo/cmd/docker"
	"tombolo/framework/api"
	"tombolo/framework/app"
	"tombolo/internal/dockerenv"
)

// Builder prepares the images of an app.
type Builder struct {
	Out      io.Writer     // gets one line for each build and push
	Terminal bool          // Out is a terminal: docker build shows its progress there
	Registry *api.Registry // of the cluster; nil: it has none
	Machine  bool          // the cluster is this machine, so that built images need no registry
	NoBuild  bool          // take the images that are here
}

// Prepare builds and pushes images and writes their exact names into the services of a,
// whose Build it clears. A service whose image it need not touch stays as it is.
func (b *Builder) Prepare(ctx context.Context, a *app.App) error {
	done := map[string]string{} // image -> exact name: two services may share an image
	for _, name := range slices.Sorted(maps.Keys(a.Services)) {
		s := a.Services[name]
		if s.Build == nil && !b.onlyHere(ctx, s) {
			continue
		}
		built := s.Image
		if done[built] == "" {
			exact, err := b.image(ctx, a.Name, s)
			if err != nil {
				return fmt.Errorf("service %s: %w", name, err)
			}
			done[built] = exact
		}
		s.Image, s.Build = done[built], nil
		if b.Registry == nil && b.Machine {
			tag, err := keep(ctx, a.Name, name, done[built])
			if err != nil {
				return fmt.Errorf("service %s: %w", name, err)
			}
			s.Image = tag
		}
		a.Services[name] = s
	}
	return nil
}

// onlyHere reports whether this machine's Engine has an image that the hosts could not
// pull. An image whose name contains a registry is pulled from that registry.
func (b *Builder) onlyHere(ctx context.Context, s app.Service) bool {
	if b.Registry == nil || s.PullPolicy == "always" {
		return false
	}
	ref, err := reference.ParseNormalizedNamed(s.Image)
	if err != nil || reference.Domain(ref) != defaultDomain || strings.HasPrefix(s.Image, defaultDomain+"/") {
		return false
	}
	_, err = imageID(ctx, s.Image)
	return err == nil
}

// defaultDomain is the registry of image names that have none.
const defaultDomain = "docker.io"

// image builds and pushes the image of s, if that is needed, and returns its exact name.
func (b *Builder) image(ctx context.Context, appName string, s app.Service) (string, error) {
	if b.Registry == nil && !b.Machine {
		if b.NoBuild {
			return s.Image, nil // the hosts pull the image that image: names
		}
		return "", errors.New("it has build:, and this cluster has no registry from which its hosts could pull the image: " +
			"push the image to a registry that they reach, name it by image:, and add --no-build")
	}
	if s.Build != nil && !b.NoBuild {
		fmt.Fprintf(b.Out, "building %s\n", s.Image)
		if err := b.build(ctx, s.Image, s.Build); err != nil {
			return "", fmt.Errorf("build: %w", err)
		}
	}
	if b.Registry != nil {
		return b.push(ctx, appName, s)
	}
	id, err := imageID(ctx, s.Image)
	if err != nil {
		return "", fmt.Errorf("image %s is not on this machine: %w", s.Image, err)
	}
	return strings.TrimSpace(id), nil
}

// build runs docker build. Off a terminal, docker's output matters only if it fails.
func (b *Builder) build(ctx context.Context, image string, build *app.Build) error {
	args, env := buildArgs(image, build)
	cmd := docker.Command(ctx, docker.Machine(), args...)
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdin = strings.NewReader(build.Inline)
	if !b.Terminal {
		_, err := docker.Output(ctx, cmd)
		return err
	}
	cmd.Stdout, cmd.Stderr = b.Out, b.Out
	if err := cmd.Run(); err != nil {
		return cmp.Or(ctx.Err(), fmt.Errorf("docker build: %w", err))
	}
	return nil
}

// digest matches the last line that docker push prints.
var digest = regexp.MustCompile(`digest: (sha256:[0-9a-f]{64})`)

// push pushes the image to the registry and returns its name as the hosts pull it.
func (b *Builder) push(ctx context.Context, appName string, s app.Service) (string, error) {
	repository := appName + "/" + s.Name
	target := b.Registry.Push + "/" + repository + ":latest"
	if _, err := docker.Run(ctx, docker.Machine(), "tag", s.Image, target); err != nil {
		return "", fmt.Errorf("image %s is not on this machine: %w", s.Image, err)
	}
	defer b.untag(ctx, target)
	fmt.Fprintf(b.Out, "pushing %s\n", s.Image)
	printed, err := docker.Run(ctx, docker.Machine(), "push", target)
	if err != nil {
		return "", fmt.Errorf("push: %w", err)
	}
	m := digest.FindStringSubmatch(printed)
	if m == nil {
		return "", fmt.Errorf("push %s: docker printed no digest", target)
	}
	return b.Registry.Pull + "/" + repository + "@" + m[1], nil
}

func imageID(ctx context.Context, image string) (string, error) {
	return docker.Run(ctx, docker.Machine(), "image", "inspect", "--format", "{{.Id}}", image)
}

// buildArgs returns the arguments of docker build, which the classic builder knows too, and
// the environment for it, which holds the build's arguments: every user of the machine can read the
// command line. Only variables that the docker command reads itself, such as HTTP_PROXY, stay there.
func buildArgs(image string, b *app.Build) (args, env []string) {
	args = []string{"build", "-t", image}
	add := func(flag, value string) {
		if value != "" {
			args = append(args, flag, value)
		}
	}
	switch {
	case b.Inline != "":
		add("-f", "-")
	case b.Dockerfile != "" && !filepath.IsAbs(b.Dockerfile):
		add("-f", filepath.Join(b.Context, b.Dockerfile))
	default:
		add("-f", b.Dockerfile)
	}
	add("--target", b.Target)
	if b.NoCache {
		args = append(args, "--no-cache")
	}
	add("--network", b.Network)
	for _, key := range slices.Sorted(maps.Keys(b.Args)) {
		if argument := key + "=" + b.Args[key]; dockerenv.Reads(key) {
			add("--build-arg", argument)
		} else {
			add("--build-arg", key)
			env = append(env, argument)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(b.Labels)) {
		add("--label", key+"="+b.Labels[key])
	}
	for _, f := range b.Flags {
		args = append(args, "--"+f.Name+"="+f.Value)
	}
	return append(args, b.Context), env
}
