package app

import (
	"fmt"
	"regexp"
	"strings"
)

// maxRepository is the most bytes that the name of a repository may have, without the
// registry.
const maxRepository = 255

// imageReference matches [REGISTRY[:PORT]/]NAME[:TAG][@DIGEST] as Docker does: the
// grammar is that of github.com/distribution/reference. Its group holds the name with
// the registry.
var imageReference = func() *regexp.Regexp {
	const (
		label    = `[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?`
		registry = `(?:` + label + `(?:\.` + label + `)*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?`
		folder   = `[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*`
		tag      = `\w[\w.-]{0,127}`
		digest   = `sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}`
	)
	return regexp.MustCompile(`^((?:` + registry + `/)?` + folder + `(?:/` + folder + `)*)(?::` + tag + `)?(?:@(?:` + digest + `))?$`)
}()

// BuiltHere begins the names that `tombolo up` gives to the images that it has built for a
// cluster that is this machine. No registry has them.
const BuiltHere = "tombolo.internal/"

// NeverPulled reports whether a host may use an image of a service only if it is there: the
// file says so, or `tombolo up` has built the image.
func (s *Service) NeverPulled() bool {
	return s.PullPolicy == "never" || strings.HasPrefix(s.Image, BuiltHere) || strings.HasPrefix(s.Image, "sha256:")
}

// imageFault says why image is not a reference to an image, or "".
func imageFault(image string) string {
	match := imageReference.FindStringSubmatch(image)
	switch {
	case match != nil && len(repository(match[1])) > maxRepository:
		return fmt.Sprintf("invalid reference format: the repository's name has more than %d bytes", maxRepository)
	case match != nil:
		return ""
	case imageReference.MatchString(strings.ToLower(image)):
		return "invalid reference format: the repository's name and the digest must be in lower case"
	}
	return "invalid reference format: use [REGISTRY/]NAME[:TAG][@DIGEST]"
}

// repository returns an image's name without the registry. Docker puts a name without
// a slash into the folder "library" of Docker Hub.
func repository(name string) string {
	registry, folders, found := strings.Cut(name, "/")
	switch {
	case !found:
		return "library/" + name
	case registry == "localhost", strings.ContainsAny(registry, ".:"), strings.ToLower(registry) != registry:
		return folders
	}
	return name
}
