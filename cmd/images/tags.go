package images

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"tombolo/cmd/docker"
	"tombolo/framework/app"
)

// shortID is how many digits of an image's ID its tag has. Two images of one service that
// share so many do not occur.
const shortID = 12

// keep tags an image that runs on this machine, and returns the tag. Without one of its own,
// an image goes away when its name moves to the next build, and its instances could not
// be started again.
func keep(ctx context.Context, appName, service, id string) (string, error) {
	_, digits, ok := strings.Cut(id, ":")
	if !ok || len(digits) < shortID {
		return "", fmt.Errorf("docker says that an image has the ID %q, which is none", id)
	}
	tag := folder(appName) + component(service) + ":" + digits[:shortID]
	if _, err := docker.Run(ctx, docker.Machine(), "tag", id, tag); err != nil {
		return "", fmt.Errorf("keep the image: %w", err)
	}
	return tag, nil
}

// folder returns the beginning of the tags of an app's images.
func folder(appName string) string { return app.BuiltHere + component(appName) + "/" }

// pathComponent matches what may stand between two slashes of an image's name.
var pathComponent = regexp.MustCompile(`^[a-z0-9]+(?:(?:_|__|-+)[a-z0-9]+)*$`)

// component returns a name as a part of an image's name. Names of apps and services may have
// more underscores than Docker permits there; those are written in hexadecimal digits.
func component(name string) string {
	if pathComponent.MatchString(name) {
		return name
	}
	return fmt.Sprintf("hex.%x", name)
}

// RemoveOld removes the tags that Prepare gave to earlier images of an app, and with them the
// images that nothing else needs. The images of the services in a stay, and those of
// containers that still exist: the next call removes them. It writes what it cannot remove
// to out, because that is no reason for a command to fail.
func RemoveOld(ctx context.Context, a app.App, out io.Writer) {
	listed, err := docker.Run(ctx, docker.Machine(), "images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "reference="+folder(a.Name)+"*")
	if err != nil {
		fmt.Fprintf(out, "old images of %s stay: %v\n", a.Name, err)
		return
	}
	var wanted []string
	for _, s := range a.Services {
		wanted = append(wanted, s.Image)
	}
	for _, tag := range strings.Fields(listed) {
		if !strings.HasPrefix(tag, folder(a.Name)) || slices.Contains(wanted, tag) {
			continue
		}
		if _, err := docker.Run(ctx, docker.Machine(), "image", "rm", tag); err != nil && !inUse(err) {
			fmt.Fprintf(out, "an old image of %s stays: %v\n", a.Name, err)
		}
	}
}

// inUse reports whether docker refused to remove an image because a container has it, or
// found that another command has removed it.
func inUse(err error) bool {
	return strings.Contains(err.Error(), "conflict") || strings.Contains(err.Error(), "No such image")
}

// untag removes the name under which an image was pushed. The image itself has another name.
func (b *Builder) untag(ctx context.Context, name string) {
	if _, err := docker.Run(context.WithoutCancel(ctx), docker.Machine(), "image", "rm", name); err != nil {
		fmt.Fprintf(b.Out, "the name %s stays: %v\n", name, err)
	}
}
