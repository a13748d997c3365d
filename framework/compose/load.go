package compose

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/consts"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"

	"tombolo/framework/app"
)

// Options say what Load reads. They mean what the flags of `docker compose` mean;
// the zero Options are `docker compose` without flags and without environment.
type Options struct {
	Files       []string // -f; none: COMPOSE_FILE, then compose.yaml and its like here or in a parent folder
	ProjectName string   // -p; "": COMPOSE_PROJECT_NAME, the file's name:, then the folder's name
	Profiles    []string // --profile; none: COMPOSE_PROFILES
	EnvFiles    []string // --env-file; none: .env beside the file
	WorkingDir  string   // --project-directory; "": that of the first file
	Env         []string // KEY=value, as os.Environ has them
}

// Load reads a project's Compose files and makes an App of them. Its warnings
// name what the files say and Tombolo ignores. Where anything is wrong with the
// files, the error is Problems: everything wrong at once.
func Load(ctx context.Context, o Options) (*app.App, []app.Warning, error) {
	l := &loading{report: &report{}}
	a, err := l.load(ctx, o)
	if err == nil {
		err = l.report.Err()
	}
	slices.SortStableFunc(l.report.Warnings, app.CompareProblems)
	if err != nil {
		return nil, l.report.Warnings, err
	}
	return a, l.report.Warnings, nil
}

// loading is the state of one Load.
type loading struct {
	report   *report
	sources  sources
	details  types.ConfigDetails
	options  []func(*loader.Options)
	profiles []string
}

func (l *loading) load(ctx context.Context, o Options) (*app.App, error) {
	defer l.capture()()
	if err := l.read(ctx, o); err != nil {
		return nil, err
	}
	if err := l.index(); err != nil {
		return nil, err
	}
	project, err := l.project(ctx)
	if err != nil {
		l.refuse(err)
		return nil, l.report.Err()
	}
	m := &mapping{report: l.report, project: project, sources: &l.sources}
	return m.app(), nil
}

// read finds the files and the environment, in the order that `docker compose`
// keeps: .env may name the files, and the files' folder may hold another .env.
func (l *loading) read(ctx context.Context, o Options) error {
	options, err := cli.NewProjectOptions(o.Files,
		cli.WithWorkingDirectory(o.WorkingDir),
		cli.WithEnv(o.Env),
		cli.WithEnvFiles(o.EnvFiles...),
		cli.WithDotEnv,
		cli.WithConfigFileEnv,
		cli.WithDefaultConfigPath,
		cli.WithEnvFiles(o.EnvFiles...),
		cli.WithDotEnv,
		cli.WithName(o.ProjectName),
	)
	if err != nil {
		return err
	}
	dir, err := options.GetWorkingDir()
	if err != nil {
		return fmt.Errorf("find the project's folder: %w", err)
	}
	if len(options.ConfigPaths) == 0 {
		return fmt.Errorf("no Compose file in %s or a folder above it (looked for %s)", dir, strings.Join(cli.DefaultFileNames, ", "))
	}
	details, err := options.ReadConfigFiles(ctx, dir, options)
	var missing *fs.PathError
	if errors.Is(err, fs.ErrNotExist) && errors.As(err, &missing) {
		return fmt.Errorf("there is no Compose file %s", missing.Path)
	}
	if err != nil {
		return err
	}
	l.details = *details
	l.details.Environment = options.Environment
	l.configure(o, filepath.Base(dir))
	return nil
}

// configure sets what the loader is told, after the environment is known.
func (l *loading) configure(o Options, folder string) {
	env := l.details.Environment
	l.profiles = o.Profiles
	if len(l.profiles) == 0 {
		l.profiles = strings.FieldsFunc(env[consts.ComposeProfiles], func(r rune) bool { return r == ',' || r == ' ' })
	}
	l.options = []func(*loader.Options){
		loader.WithProfiles(l.profiles),
		loader.WithDiscardEnvFiles,
		func(lo *loader.Options) {
			lo.SkipConsistencyCheck = true // it stops at the first problem, and knows no positions: mapping checks
			switch {
			case o.ProjectName != "":
				lo.SetProjectName(o.ProjectName, true)
			case env[consts.ComposeProjectName] != "":
				lo.SetProjectName(env[consts.ComposeProjectName], true)
			default:
				lo.SetProjectName(loader.NormalizeProjectName(folder), false)
			}
		},
	}
}

// index parses the files for positions and reports unknown keys. It hands
// compose-go the files without them, so that it can go on to other problems.
func (l *loading) index() error {
	l.sources.base, _ = os.Getwd()
	l.report.Locate, l.report.items = l.sources.find, l.sources.items
	for i := range l.details.ConfigFiles {
		file := &l.details.ConfigFiles[i]
		if len(file.Content) > maxFile {
			return fmt.Errorf("%s is larger than %d MiB", l.sources.show(file.Filename), maxFile>>20)
		}
		s, err := l.sources.parse(file.Filename, file.Content)
		if err != nil {
			var problem app.Problem
			if !errors.As(err, &problem) {
				return err
			}
			return app.Problems{problem}
		}
		if l.report.unknown(s) {
			if file.Content, err = render(s.docs); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
		l.obsolete(s)
	}
	for _, s := range l.sources.files[:len(l.details.ConfigFiles)] {
		l.sources.follow(s)
	}
	for _, s := range l.sources.files[len(l.details.ConfigFiles):] {
		l.report.unknown(s)
	}
	return nil
}

// obsolete warns of version: compose-go takes it out before anything is screened.
func (l *loading) obsolete(s *source) {
	for _, doc := range s.docs {
		if lookup(doc, "version") != nil {
			l.report.Warn(app.Path{"version"}, "%s", verdicts().next("version").verdict.reason)
		}
	}
}

func render(docs []*yaml.Node) ([]byte, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	for _, doc := range docs {
		spellNull(doc)
		if err := encoder.Encode(doc); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), encoder.Close()
}

// spellNull writes nulls out: where nothing stands for them, the encoder writes
// nothing into flow mappings, and that is read as an empty text.
func spellNull(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		n.Value = "null"
	}
	for _, below := range n.Content {
		spellNull(below)
	}
}

// project runs compose-go: the merged model first, which is screened, then the
// typed project.
func (l *loading) project(ctx context.Context) (project *types.Project, err error) {
	defer func() {
		// compose-go checks the shape of files only after it has merged them, and
		// asserts types before: a file it did not expect must not end `tombolo`.
		if p := recover(); p != nil {
			project, err = nil, fmt.Errorf("compose-go cannot read this: %v", p)
		}
	}()
	model, err := loader.LoadModelWithContext(ctx, l.details, l.options...)
	if err != nil {
		return nil, err
	}
	name, _ := model["name"].(string)
	l.dropDisabled(model)
	l.report.screen(model)
	veilKeys(model, app.Path{})
	options := loader.ToOptions(&l.details, l.options)
	options.SetProjectName(name, true)
	if project, err = loader.ModelToProject(model, options, l.details); err == nil {
		unveil(reflect.ValueOf(project))
	}
	return project, err
}

// dropDisabled takes the services out of the model that no active profile wants:
// they may say what they like. Their names stay, for depends_on to find.
func (l *loading) dropDisabled(model map[string]any) {
	services, _ := model["services"].(map[string]any)
	for name, s := range services {
		service, _ := s.(map[string]any)
		var config types.ServiceConfig
		for _, p := range asList(service["profiles"]) {
			config.Profiles = append(config.Profiles, fmt.Sprint(p))
		}
		if !config.HasProfile(l.profiles) {
			services[name] = map[string]any{"image": "disabled", "profiles": service["profiles"]}
		}
	}
}

func asList(v any) []any {
	list, _ := v.([]any)
	return list
}

// refuse reports compose-go's error, each of several by itself.
func (l *loading) refuse(err error) {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		for _, e := range joined.Unwrap() {
			l.refuse(e)
		}
		return
	}
	p := l.place(err.Error())
	known := func(other app.Problem) bool { return other.Position.File == p.Position.File && other.Path == p.Path }
	if p.Path == "" || !slices.ContainsFunc(l.report.Problems, known) {
		l.report.Add(p)
	}
}
