package compose

import (
	"maps"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"

	"tombolo/framework/app"
)

// build maps what the plain `docker build` can do: the classic builder is all
// that some Engines have.
func (s *serviceMapping) build(in *types.BuildConfig) *app.Build {
	b := &app.Build{
		Context:    in.Context,
		Dockerfile: in.Dockerfile,
		Inline:     in.DockerfileInline,
		Target:     in.Target,
		NoCache:    in.NoCache,
		Labels:     nonEmpty(map[string]string(in.Labels)),
		Network:    in.Network,
		Args:       map[string]string{},
	}
	p := s.path.To("build")
	if b.Inline != "" && s.sources.has(p.To("dockerfile")) {
		s.report.Problem(p.To("dockerfile_inline"), "excludes dockerfile")
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

func (s *serviceMapping) buildFlags(in *types.BuildConfig, p app.Path) []app.Flag {
	f := &app.Flags{}
	f.Each("cache-from", in.CacheFrom)
	f.Each("add-host", in.ExtraHosts.AsList(":"))
	f.Each("tag", in.Tags)
	f.Bool("pull", in.Pull)
	f.Int("shm-size", int64(in.ShmSize))
	for _, name := range slices.Sorted(maps.Keys(in.Ulimits)) {
		f.Text("ulimit", name+"="+ulimit(in.Ulimits[name]))
	}
	platform := s.in.Platform
	switch len(in.Platforms) {
	case 0:
	case 1:
		platform = in.Platforms[0]
	default:
		s.report.Problem(p.To("platforms"), "the plain `docker build` builds for one platform at a time")
	}
	f.Text("platform", platform)
	return f.Sorted()
}
