package compose

import (
	"github.com/compose-spec/compose-go/v2/types"

	"tombolo/framework/app"
)

// build maps to flags of the plain `docker build`, not of buildx: some Engines have only
// the classic builder.
func (s *serviceMapping) build(in *types.BuildConfig) *app.Build {
	p := s.path.To("build")
	if in.DockerfileInline != "" && s.sources.has(p.To("dockerfile")) {
		s.Problem(p.To("dockerfile_inline"), "cannot be combined with dockerfile")
	}
	return &app.Build{
		Context:    in.Context,
		Dockerfile: in.Dockerfile,
		Inline:     in.DockerfileInline,
		Target:     in.Target,
		NoCache:    in.NoCache,
		Labels:     nonEmpty(map[string]string(in.Labels)),
		Network:    in.Network,
		Args:       present(in.Args),
		Flags:      s.buildFlags(in, p),
	}
}

func (s *serviceMapping) buildFlags(in *types.BuildConfig, p app.Path) []app.Flag {
	f := &app.Flags{}
	f.List("cache-from", in.CacheFrom)
	f.List("add-host", in.ExtraHosts.AsList(":"))
	f.List("tag", in.Tags)
	f.Bool("pull", in.Pull)
	f.Int("shm-size", int64(in.ShmSize))
	f.Pairs("ulimit", ulimits(in.Ulimits))
	platform := s.in.Platform
	if len(in.Platforms) == 1 {
		platform = in.Platforms[0]
	} else if p := p.To("platforms"); len(in.Platforms) > 1 {
		s.Problem(p, "%s", remark(p))
	}
	f.Text("platform", platform)
	return f.Sorted()
}
