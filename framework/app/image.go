package app

import (
	"regexp"
	"strings"
)

// maxRepository bounds the name of a repository, without its registry.
const maxRepository = 255

// imageReference is [REGISTRY[:PORT]/]NAME[:TAG][@DIGEST], in the grammar of
// github.com/distribution/reference, which Docker reads. Its group is the name with
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

// imageFault says why image is no reference to an image, or "".
func imageFault(image string) string {
	match := imageReference.FindStringSubmatch(image)
	switch {
	case match != nil && len(repository(match[1])) > maxRepository:
		return "invalid reference format: the repository's name has more than 255 bytes"
	case match != nil:
		return ""
	case imageReference.MatchString(strings.ToLower(image)):
		return "invalid reference format: a repository's name and a digest are in lower case"
	}
	return "invalid reference format: it must be [REGISTRY/]NAME[:TAG][@DIGEST]"
}

// repository is an image's name without the registry. Names without a folder are
// those of Docker Hub's library.
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
