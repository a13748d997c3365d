package app

import (
	"maps"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"
)

// build maps what the plain `docker build` can do: the classic builder is all
// that some Engines have.
func (s *serviceMapping) build(in *types.BuildConfig) *Build {
	b := &Build{
		Context:    in.Context,
		Dockerfile: in.Dockerfile,
		Inline:     in.DockerfileInline,
		Target:     in.Target,
		NoCache:    in.NoCache,
		Labels:     nonEmpty(map[string]string(in.Labels)),
		Network:    in.Network,
		Args:       map[string]string{},
	}
	p := s.path.to("build")
	if b.Inline != "" && s.sources.has(p.to("dockerfile")) {
		s.report.problem(p.to("dockerfile_inline"), "excludes dockerfile")
	}
	for key, value := range in.Args {
		if value != nil {
			b.Args[key] = *value
		}
	}
	b.Args = nonEmpty(b.Args)
	b.Flags = s.buildFlags(in, p)
	return b
}

func (s *serviceMapping) buildFlags(in *types.BuildConfig, p keyPath) []Flag {
	f := &flags{}
	f.each("cache-from", in.CacheFrom)
	f.each("add-host", in.ExtraHosts.AsList(":"))
	f.each("tag", in.Tags)
	f.truth("pull", in.Pull)
	f.number("shm-size", int64(in.ShmSize))
	for _, name := range slices.Sorted(maps.Keys(in.Ulimits)) {
		f.text("ulimit", name+"="+ulimit(in.Ulimits[name]))
	}
	platform := s.in.Platform
	switch len(in.Platforms) {
	case 0:
	case 1:
		platform = in.Platforms[0]
	default:
		s.report.problem(p.to("platforms"), "the plain `docker build` builds for one platform at a time")
	}
	f.text("platform", platform)
	return f.sorted()
}
