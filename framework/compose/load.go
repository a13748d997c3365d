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

// Options say what to load. Each has the meaning of a flag of `docker compose`; the
// zero Options are `docker compose` without flags and without an environment.
type Options struct {
	Files       []string // -f; none: COMPOSE_FILE, else compose.yaml and the like, in the working folder or above it
	ProjectName string   // -p; "": COMPOSE_PROJECT_NAME, else the file's `name`, else the folder's name
	Profiles    []string // --profile; none: COMPOSE_PROFILES
	EnvFiles    []string // --env-file; none: .env beside the first file
	WorkingDir  string   // --project-directory; "": the first file's folder
	Env         []string // the environment, as os.Environ returns it
}

// Load reads the Compose files of a project and makes an App of them. The warnings name
// keys that Tombolo leaves out, or that have another effect than the user may expect. If
// the files are wrong, the error is app.Problems, with all that is wrong at once.
func Load(ctx context.Context, o Options) (*app.App, []app.Warning, error) {
	l := &loading{}
	l.Locate = l.sources.find
	a, err := l.load(ctx, o)
	if err == nil {
		err = l.Err()
	}
	l.Warnings.Sort()
	if err != nil {
		a = nil
	}
	return a, l.Warnings, err
}

type loading struct {
	report
	details  types.ConfigDetails
	options  []func(*loader.Options)
	profiles []string
}

func (l *loading) load(ctx context.Context, o Options) (*app.App, error) {
	defer l.captureLog()()
	if err := l.readFiles(ctx, o); err != nil {
		return nil, err
	}
	if err := l.parseSources(); err != nil {
		return nil, err
	}
	project, err := l.project(ctx)
	if err != nil {
		l.addError(err)
		return nil, l.Err()
	}
	m := &mapping{report: &l.report, project: project}
	return m.app(), nil
}

// readFiles reads the environment and the Compose files as `docker compose` does: .env
// may name the files, and then the first file's folder may have another .env.
func (l *loading) readFiles(ctx context.Context, o Options) error {
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

// configure sets compose-go's options. Some of them come from the environment.
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
			lo.SkipConsistencyCheck = true // it stops at the first problem, without a position; App.Check does its work
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

// parseSources parses the files for the positions of their keys, and reports unknown
// keys. If a file has any, compose-go gets the file without them.
func (l *loading) parseSources() error {
	l.sources.base, _ = os.Getwd()
	for i := range l.details.ConfigFiles {
		file := &l.details.ConfigFiles[i]
		if len(file.Content) > maxFile {
			return fmt.Errorf("%s is larger than %d MiB", l.sources.show(file.Filename), maxFile>>20)
		}
		s, err := l.sources.parse(file.Filename, file.Content)
		if err != nil {
			return err
		}
		if l.dropUnknown(s) {
			if file.Content, err = encode(s.docs); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
		if l.sources.has(app.Path{"version"}) { // compose-go drops the key before the model is screened
			l.Warn(app.Path{"version"}, "%s", remark(app.Path{"version"}))
		}
	}
	for _, s := range l.sources.files[:len(l.details.ConfigFiles)] {
		l.sources.follow(s)
	}
	for _, s := range l.sources.files[len(l.details.ConfigFiles):] {
		l.dropUnknown(s)
	}
	return nil
}

func encode(docs []*yaml.Node) ([]byte, error) {
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

// spellNull writes "null" for values that are missing. The encoder writes nothing for
// them, which a flow mapping reads as an empty string.
func spellNull(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		n.Value = "null"
	}
	for _, below := range n.Content {
		spellNull(below)
	}
}

// project runs compose-go: it loads the merged model, which is screened, and makes the
// typed project of it.
func (l *loading) project(ctx context.Context) (project *types.Project, err error) {
	defer func() {
		// compose-go merges files before it checks their shape, so it panics on some.
		if p := recover(); p != nil {
			project, err = nil, fmt.Errorf("compose-go cannot read this: %v", p)
		}
	}()
	model, err := loader.LoadModelWithContext(ctx, l.details, l.options...)
	if err != nil {
		return nil, err
	}
	name, _ := model["name"].(string)
	l.emptyInactive(model)
	l.screen(model)
	hideUserKeys(model, app.Path{})
	options := loader.ToOptions(&l.details, l.options)
	options.SetProjectName(name, true)
	if project, err = loader.ModelToProject(model, options, l.details); err == nil {
		showUserKeys(reflect.ValueOf(project))
	}
	return project, err
}

// emptyInactive removes the keys of services whose profiles are not active, so that
// nothing is reported about them. Their names stay, because depends_on may name them.
func (l *loading) emptyInactive(model map[string]any) {
	services, _ := model["services"].(map[string]any)
	for name, s := range services {
		service, _ := s.(map[string]any)
		profiles, _ := service["profiles"].([]any)
		var config types.ServiceConfig
		for _, p := range profiles {
			config.Profiles = append(config.Profiles, fmt.Sprint(p))
		}
		if !config.HasProfile(l.profiles) {
			services[name] = map[string]any{"image": "disabled", "profiles": service["profiles"]}
		}
	}
}

// addError reports an error of compose-go, or each of several that it joined, unless
// the key has a problem already.
func (l *loading) addError(err error) {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		for _, e := range joined.Unwrap() {
			l.addError(e)
		}
		return
	}
	p := l.problemOf(err.Error())
	known := func(other app.Problem) bool { return other.Position.File == p.Position.File && other.Path == p.Path }
	if p.Path == "" || !slices.ContainsFunc(l.Problems, known) {
		l.Add(p)
	}
}
