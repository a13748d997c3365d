package record

import (
	"maps"
	"strings"
)

// The prefixes of the labels from which FromLabels reads an identity.
const (
	ourPrefix     = "tombolo."
	composePrefix = "com.docker.compose."
)

// Identifies reports whether any of the labels is one that FromLabels may read.
func Identifies(labels map[string]string) bool {
	for key := range labels {
		if strings.HasPrefix(key, ourPrefix) || strings.HasPrefix(key, composePrefix) {
			return true
		}
	}
	return false
}

// OwnLabels returns the labels of a container without those that it has only because its image
// has them: who publishes an image must not decide what its containers may reach. Docker
// merges the two, so a label with the value of the image's counts as the image's.
//
// A framework labels each container with a task of its own, and docker compose labels each
// with a number, which it never writes into an image. Such a container was labelled by its
// launcher, so all labels of that kind are its own. Docker compose writes some of them into the
// images that it builds, too.
func OwnLabels(container, image map[string]string) map[string]string {
	own := func(key string) bool { return container[key] != "" && container[key] != image[key] }
	ours, compose := own(LabelTask), own(composeNumber)
	labels := maps.Clone(container)
	maps.DeleteFunc(labels, func(key, value string) bool {
		from, inherited := image[key]
		if !inherited || from != value {
			return false
		}
		return strings.HasPrefix(key, ourPrefix) && !ours || strings.HasPrefix(key, composePrefix) && !compose
	})
	return labels
}
